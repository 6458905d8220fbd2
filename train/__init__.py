"""Training of the routers: LightningModules, data, and LightningCLI as the command line."""
