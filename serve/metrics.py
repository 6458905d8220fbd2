"""What the server counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)


class Metrics:
    """One server's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "videorouter_requests", "Requests by what became of them", ["way", "status"], registry=registry
        )
        self.in_work = Gauge("videorouter_requests_in_work", "Requests in work and waiting", registry=registry)
        self.stages = Histogram(
            "videorouter_stage_seconds", "Seconds of each stage", ["stage"], buckets=_SECONDS, registry=registry
        )
        self.fed = Counter(
            "videorouter_visual_tokens_fed",
            "Visual tokens fed, by the charge of whoever was fed them",
            registry=registry,
        )
        self.spared = Counter(
            "videorouter_visual_tokens_spared",
            "Visual tokens that dense frames would have fed beside",
            registry=registry,
        )
        self.decoded = Counter("videorouter_videos_decoded", "Videos decoded", registry=registry)
        self.encoded = Counter("videorouter_frames_encoded", "Frames that the vision tower encoded", registry=registry)
        self.cached = Counter(
            "videorouter_cache_lookups", "Videos looked for in the cache", ["part", "found"], registry=registry
        )
        self.cache_bytes = Gauge("videorouter_cache_bytes", "Bytes of cached videos", registry=registry)
        self.transfer_bytes = Counter(
            "videorouter_embedding_bytes", "Bytes of embeddings sent upstream", registry=registry
        )
        self.transfer_seconds = Counter(
            "videorouter_embedding_seconds", "Seconds spent writing embeddings down for the upstream", registry=registry
        )

    def text(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self.registry)
