"""Each service asked about its own health, from the controller and over TLS; imported only by who asks."""
