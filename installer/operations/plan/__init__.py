"""`plan`: what an operation would change and interrupt, made of what the modules say in check mode."""
