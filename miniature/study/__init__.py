"""What is measured on the world: accuracy against tokens, with probes and claims, and the quality of built labels."""
