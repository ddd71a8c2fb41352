"""`./install rotate`: what a running site has is made anew, without its users noticing."""
