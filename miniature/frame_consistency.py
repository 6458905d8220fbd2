"""Do a router's scores on JPEG frames from shards equal those on freshly decoded frames? (train/run-time parity)"""

from pathlib import Path

from videorouter.routers.runtime import VideoRouter
from videorouter.shards.reader import ShardDataset
from videorouter.video.decode import sample_frames


def largest_score_difference(model: Path, shards: Path, videos: Path, split: str = "val", limit: int = 8) -> float:
    """Largest absolute difference of frame relevance over the questions of `limit` videos; 0 is perfect parity."""
    router = VideoRouter.from_pretrained(model)
    config, backbone = router.config, router.backbone
    dataset = ShardDataset(shards, split=split)
    largest = 0.0
    for index in range(min(limit, len(dataset))):
        sample = dataset[index]
        fresh = sample_frames(
            videos / sample.video.uri, config.frames, sampler=config.sampler, size=backbone.frame_size
        )
        questions = [labelled.question.question for labelled in sample.questions]
        stored, decoded = (
            router.frame_relevance(backbone.encode_frames(frames), questions)
            for frames in (sample.frames(), fresh.frames)
        )
        largest = max(largest, float((stored - decoded).abs().max()))
    return largest
