"""Stage: a paired set and several models -> how close their frontal faces are to the targets."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.evaluate.candidate_models import CandidateModel, RankedPair, load_candidate_model, short_names
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.pair_worker import LoadedPair, PairJob, PairReader, UnreadablePair
from pipelines.evaluate.summary import GroundTruth, compare_identities, summarize_model
from pipelines.metrics.image_metrics import MEASURES, compare_images
from pipelines.photo_jobs.crops import resize_square
from pipelines.photo_jobs.device_networks import networks_on
from pipelines.runtime.devices import choose_device
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.worker_pool import Crash, run_in_workers
from pipelines.weights.normalization import Normalization
from toolkit.errors import ConfigError, DatasetError, PhotoError
from toolkit.identity.recognizer import Recognizer, to_recognizer_crop
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.types import Image
from toolkit.records.labels import LABELS, Labels, read_labels
from toolkit.records.subjects import find_splits, read_pairs

Embedding = NDArray[np.float64]  # (D,), length 1
MAX_SIZE = 1024  # pixels, of the images that are compared


class Evaluation:
    """Compare models on a paired set: :meth:`run`, then :meth:`document`.

    All faces and targets are compared at one size, and a recognizer gets all of them in one alignment.

    Args:
        dataset: root of a paired set of chin crops; of a split one, ``val/`` is used.
        config: which models, and how.

    Raises:
        ConfigError: the set, a model, the recognizer or the device cannot be used.
    """

    def __init__(self, dataset: Path, config: EvaluateConfig) -> None:
        self.split = "val" if find_splits(dataset) else ""
        self.root, self._config = dataset.resolve() / self.split, config
        self.pairs = read_pairs(self.root)
        labels = _read_labels(self.root, config.by)
        self.device = choose_device(config.device)
        self.size = config.size or self._target_side()
        self.candidates = [
            load_candidate_model(name, self.size, config.batch_size, self.device, config.recipe)
            for name in config.models
        ]
        self._recognizers: list[Recognizer] = []  # one for each thread
        if config.recognizer is not None:
            self._recognizers = [Recognizer(config.recognizer) for _ in range(config.workers)]
        self._groups = {pair.input: labels.text(config.by, pair.input) for pair in self.pairs} if config.by else {}
        self._people = {pair.input: labels.person(pair.input, pair.subject) for pair in self.pairs}
        self._people |= {pair.target: labels.person(pair.target, pair.subject) for pair in self.pairs}
        self._yaw = labels.numbers("yaw", [pair.input for pair in self.pairs]).astype(np.float64)
        self._labelled = ~np.isnan(self._yaw)
        self._gallery: dict[str, Embedding] = {}  # by target
        self.failed: dict[int, str] = {}  # unreadable pairs, with the reason

    @property
    def ranked_by(self) -> str:
        """Key of the score that ranks the best and the worst pairs."""
        return "identity_cosine" if self._recognizers else "ssim"

    def run(self, stop: Stop) -> Iterator[int]:
        """Evaluate all pairs; yield the number of each when it is done. Unreadable pairs are added to ``failed``.

        Worker processes read files and find faces, networks run in this process on batches, recognizers on threads.
        """
        views = any(candidate.needs_frontal_view for candidate in self.candidates)
        jobs = [PairJob(number, pair, views or not self._labelled[number]) for number, pair in enumerate(self.pairs)]
        faces = any(job.find_face for job in jobs)
        load = partial(PairReader, self.root, faces, self.size if views else None)
        batch: list[LoadedPair] = []
        networks = networks_on(self.device if faces else "cpu", load)
        with networks as load_there, ThreadPoolExecutor(max(1, len(self._recognizers))) as threads:
            ahead = 2 * self._config.batch_size
            for result in run_in_workers(load_there, PairReader.read, jobs, self._config.workers, stop, ahead):
                if not isinstance(result, LoadedPair):
                    yield self._add_failure(result)
                    continue
                batch.append(result)
                if len(batch) == self._config.batch_size:
                    yield from self._evaluate_batch(batch, threads)
                    batch = []
            if batch:
                yield from self._evaluate_batch(batch, threads)

    def document(self) -> dict[str, Any]:
        """Return all results as a JSON document; values that could not be measured are None."""
        evaluated = [number for number in range(len(self.pairs)) if number not in self.failed]
        targets = sorted({self.pairs[number].target for number in evaluated})
        truth = self._ground_truth(evaluated, targets)
        return {
            "dataset": str(self.root),
            "part": self.split or None,
            "size": self.size,
            "pairs": len(evaluated),
            "subjects": len(targets),
            "people": len({*truth.person.tolist(), *truth.target_person.tolist()}),
            "yaw": {
                "labelled": int(self._labelled[evaluated].sum()),
                "measured": int((~self._labelled & ~np.isnan(self._yaw))[evaluated].sum()),
                "unknown": int(np.isnan(truth.yaw).sum()),
            },
            "recognizer": str(self._config.recognizer) if self._recognizers else None,
            "by": self._config.by,
            "ranked_by": self.ranked_by,
            "models": [
                {"model": one.name, "name": name, **self._results(one, evaluated, truth, targets)}
                for one, name in zip(self.candidates, short_names(self._config.models), strict=True)
                if evaluated
            ],
            "failed": [
                {"input": self.pairs[number].input, "reason": reason} for number, reason in sorted(self.failed.items())
            ],
        }

    def row(self, candidate: CandidateModel, number: int) -> dict[str, Any]:
        """Return the results of one model on one pair."""
        pair, measures = self.pairs[number], candidate.measures.get(number)
        row: dict[str, Any] = {"input": pair.input, "target": pair.target}
        row["yaw"] = None if np.isnan(self._yaw[number]) else round(float(self._yaw[number]), 1)
        row |= zip(MEASURES, measures, strict=True) if measures else dict.fromkeys(MEASURES)
        if self._recognizers:
            embedding = candidate.embeddings.get(number)
            row["identity_cosine"] = 0.0 if embedding is None else float(embedding @ self._gallery[pair.target])
        return row

    def _ground_truth(self, evaluated: list[int], targets: list[str]) -> GroundTruth:
        pairs = [self.pairs[number] for number in evaluated]
        people = sorted({self._people[pair.input] for pair in pairs} | {self._people[target] for target in targets})
        target_index, person_index = ({name: place for place, name in enumerate(some)} for some in (targets, people))
        return GroundTruth(
            self._yaw[evaluated],
            np.array([person_index[self._people[pair.input]] for pair in pairs], np.intp),
            np.array([target_index[pair.target] for pair in pairs], np.intp),
            np.array([person_index[self._people[target]] for target in targets], np.intp),
            [self._groups[pair.input] for pair in pairs] if self._groups else (),
        )

    def _results(
        self, candidate: CandidateModel, evaluated: list[int], truth: GroundTruth, targets: list[str]
    ) -> dict[str, Any]:
        missing = [np.nan] * len(MEASURES)
        measures = np.array([candidate.measures.get(number, missing) for number in evaluated])
        identity = None
        if self._recognizers:
            gallery = np.stack([self._gallery[target] for target in targets])
            zeros = np.zeros(gallery.shape[1])
            faces = np.stack([candidate.embeddings.get(number, zeros) for number in evaluated])
            identity = compare_identities(truth, faces, gallery)
        best, worst = candidate.best_and_worst()
        return {
            **summarize_model(truth, measures, identity),
            "reasons": candidate.reasons,
            "best": [self.row(candidate, pair.number) for pair in best],
            "worst": [self.row(candidate, pair.number) for pair in worst],
        }

    def _evaluate_batch(self, batch: list[LoadedPair], threads: ThreadPoolExecutor) -> list[int]:
        """Run every model on one batch and compare the faces; return the numbers of the pairs."""
        targets = [resize_square(pair.target, self.size) for pair in batch]
        for pair in batch:
            if not self._labelled[pair.number]:
                self._yaw[pair.number] = pair.yaw
        if self._recognizers:
            new = {self.pairs[pair.number].target: image for pair, image in zip(batch, targets, strict=True)}
            new = {target: image for target, image in new.items() if target not in self._gallery}
            self._gallery |= zip(new, self._embed(list(new.values()), threads), strict=True)
        generated = [candidate.generate(batch) for candidate in self.candidates]
        for candidate, images in zip(self.candidates, generated, strict=True):
            faces = {place: image for place, image in enumerate(images) if image is not None}
            numbers = [batch[place].number for place in faces]
            measures = self._compare(list(faces.values()), [targets[place] for place in faces])
            candidate.measures |= zip(numbers, measures, strict=True)
            if self._recognizers:
                candidate.embeddings |= zip(numbers, self._embed(list(faces.values()), threads), strict=True)
        for place, pair in enumerate(batch):
            self._add_examples(pair, [images[place] for images in generated])
        return [pair.number for pair in batch]

    def _add_examples(self, pair: LoadedPair, faces: list[Image | None]) -> None:
        """Offer a pair to every model as an example, or count why there is no face."""
        pictures = [pair.input, *(pair.reason if face is None else face for face in faces), pair.target]
        for candidate, face in zip(self.candidates, faces, strict=True):
            if face is None:
                candidate.reasons[pair.reason.partition(":")[0]] += 1
            else:
                score = self.row(candidate, pair.number)[self.ranked_by]
                candidate.add_example(RankedPair(score, pair.number, pictures))

    @torch.inference_mode()
    def _compare(self, faces: list[Image], targets: list[Image]) -> list[list[float]]:
        """Return :data:`MEASURES` of each face."""
        if not faces:
            return []
        levels = Normalization()
        one, other = (
            (torch.from_numpy(np.stack(images)).to(self.device).permute(0, 3, 1, 2).float() - levels.mean)
            / levels.scale
            for images in (faces, targets)
        )
        measures: list[list[float]] = compare_images(one, other, levels).T.tolist()
        return measures

    def _embed(self, crops: list[Image], threads: ThreadPoolExecutor) -> list[Embedding]:
        """Compute the embedding of each crop, on several threads."""
        count = min(len(self._recognizers), len(crops))

        def embed_share(first: int) -> NDArray[np.float64]:
            return self._recognizers[first].embed([to_recognizer_crop(crop) for crop in crops[first::count]])

        embeddings: dict[int, Embedding] = {}
        for first, some in enumerate(threads.map(embed_share, range(count))):
            embeddings |= zip(range(first, len(crops), count), some, strict=True)
        return [embeddings[place] for place in range(len(crops))]

    def _add_failure(self, result: UnreadablePair | Crash[PairJob]) -> int:
        if isinstance(result, UnreadablePair):
            self.failed[result.number] = result.reason
            return result.number
        self.failed[result.job.number] = result.error.reason
        return result.job.number

    def _target_side(self) -> int:
        for pair in self.pairs:
            try:
                width, height = Photo(read_bytes(self.root / pair.target)).size
            except PhotoError:
                continue  # its pairs will be among the failed
            if width == height >= 16:
                return min(width, MAX_SIZE)
        raise DatasetError(f"{self.root}: no target is a readable square image; see `frontalize pairs verify`")


def _read_labels(root: Path, by: str | None) -> Labels:
    """Read labels.csv.

    Raises:
        ConfigError: there is no column ``by`` in it.
    """
    labels = read_labels(root, {"person", "yaw", by or "person"})
    if by is None or by in labels.columns:
        return labels
    if columns := ", ".join(read_labels(root).columns):
        raise ConfigError(f"by={by}: {root / LABELS} has no such column; choose one of {columns}")
    raise ConfigError(f"by={by}: {root} has no {LABELS} to group pairs by; leave out --by")
