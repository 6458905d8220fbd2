"""Where probing takes frames and their relevance from: an earlier Video-FLR build where it has them, else decoding and scoring."""

from functools import lru_cache
from pathlib import Path

from videorouter.data_builders.flr.annotate import TeacherLabeller
from videorouter.data_builders.videos import PreparedVideo, VideoFolder
from videorouter.shards.catalogue import Catalogue, Place, read_labels, read_record, read_sample
from videorouter.shards.schema import VideoQuestion

VIDEOS_REMEMBERED = 256
"""Videos whose relevance labels (not frames) stay in memory."""


class FrameSource:
    """Prepared videos and frame relevance: from an earlier Video-FLR build where it has them, else decoded and scored.

    `scorer` may be None where no relevance is asked for.
    """

    def __init__(self, videos: VideoFolder, scorer: TeacherLabeller | None, relevance: Path | None) -> None:
        """Raises `ShardError` for shards that do not read, `ValueError` for shards with other frames than `videos` takes."""
        self.videos = videos
        self.scorer = scorer
        self._catalogue = Catalogue(relevance) if relevance else None
        self._places: dict[str, Place] = {} if self._catalogue is None else self._checked(self._catalogue)
        self._known = lru_cache(VIDEOS_REMEMBERED)(self._read_relevance)

    def prepare(self, video: str) -> PreparedVideo:
        """Raises `VideoError`."""
        if self._catalogue is None or video not in self._places:
            return self.videos.prepare(video)
        sample = read_sample(self._catalogue.storage, self._places[video])
        return PreparedVideo(sample.video, sample.jpegs)

    async def relevant(self, video: PreparedVideo, question: VideoQuestion) -> list[bool]:
        """One bool per frame: known labels, or the teacher's scores against its threshold. Raises as `Teacher.ask`."""
        known = self._known(question.video)
        if question.id in known:
            return known[question.id]
        assert self.scorer is not None
        scores = await self.scorer.score(video, question)
        return [score >= self.scorer.config.threshold for score in scores]

    def _read_relevance(self, video: str) -> dict[str, list[bool]]:
        """Relevance by question id."""
        if self._catalogue is None or video not in self._places:
            return {}
        labelled = read_labels(self._catalogue.storage, self._places[video])
        return {one.question.id: one.relevance.relevant for one in labelled if one.relevance}

    def _checked(self, catalogue: Catalogue) -> dict[str, Place]:
        """Where each video lies, all of them with the frames that this build takes."""
        config = self.videos.config
        wanted = (config.frames, config.frame_size, config.sampler)
        places = {}
        for place in catalogue.places:
            video = read_record(catalogue.storage, place)
            found = (place.entry.frames, video.height, video.sampler)
            stored = config.stores(video.height, video.width)
            if config.aspect == "own" and not stored:
                raise ValueError(
                    f"{catalogue.storage.folder} holds frames of {video.width}x{video.height} pixels of {video.uri}: not at most "
                    f"{config.frame_size}x{config.frame_size} pixels at their own aspect ratio in multiples of "
                    f"{config.frame_multiple}: give the options of that build, or leave --relevance out"
                )
            if (found[0], found[2]) != (wanted[0], wanted[2]) or not stored:
                raise ValueError(
                    f"{catalogue.storage.folder} holds (frames, frame_size, sampler) = {found} of {video.uri}, this build takes "
                    f"{wanted}: give the options of that build, or leave --relevance out"
                )
            places[video.uri] = place
        return places
