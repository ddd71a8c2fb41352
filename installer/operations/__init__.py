"""What the operator can ask for: one module per verb or family of verbs."""
