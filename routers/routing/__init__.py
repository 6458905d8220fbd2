"""The two routers, and the allocation of tokens that their decisions lead to."""
