"""The models: backbones, the two routers, allocation, compression systems, checkpoints, and the runtime that answers."""
