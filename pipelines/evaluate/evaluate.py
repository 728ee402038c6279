"""Stage: a paired set and several models -> how close their frontal faces are to the targets."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.evaluate.candidate_models import CandidateModel, RankedPair, load_candidate_model, short_names
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.face_networks import Embedding, FaceNetworks, FacePoints, mean_distance
from pipelines.evaluate.pair_labels import PairLabels
from pipelines.evaluate.pair_worker import LoadedPair, LoadedTarget, PairJob, PairReader, UnreadablePair
from pipelines.evaluate.summary import GroundTruth, IdentityScores, ModelResults, compare_identities, summarize_model
from pipelines.metrics.image_metrics import MEASURES, compare_faces
from pipelines.photo_jobs.crops import resize_square
from pipelines.photo_jobs.device_networks import full_precision_on, networks_on
from pipelines.runtime.devices import choose_device
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.worker_pool import Crash, run_in_workers
from toolkit.errors import DatasetError, PhotoError
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.types import Image
from toolkit.records.subjects import find_splits, read_pairs

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
        self._labels = PairLabels(self.root, self.pairs, config.by)
        self._references = self._labels.references(config.identity_against)  # for each pair: names of targets
        self._sources = self._labels.sources(config.photos) if config.photos else [""] * len(self.pairs)
        self.device = choose_device(config.device)
        self.size = config.size or self._target_side()
        self.candidates = [
            load_candidate_model(name, self.size, config.batch_size, self.device, config.recipe)
            for name in config.models
        ]
        self._networks = FaceNetworks(config.recognizer, config.landmarks, config.workers)
        self._yaw = self._labels.yaw.copy()  # and what is measured where there is no label
        self._gallery: dict[str, Embedding] = {}  # by target
        self._points: dict[str, FacePoints | None] = {}  # by target
        self.failed: dict[int, str] = {}  # unreadable pairs, with the reason

    @property
    def ranked_by(self) -> str:
        """Key of the score that ranks the best and the worst pairs."""
        return "identity_cosine" if self._config.recognizer else "ssim"

    def run(self, stop: Stop) -> Iterator[int]:
        """Evaluate all pairs; yield the number of each when it is done. Unreadable pairs are added to ``failed``.

        Worker processes read files and find the inputs' faces, generators run in this process on batches, recognizers
        and landmarkers on its threads.
        """
        views = any(candidate.needs_frontal_view for candidate in self.candidates)
        labelled = self._labels.labelled
        jobs = [
            PairJob(number, pair, views or not labelled[number], source)
            for number, (pair, source) in enumerate(zip(self.pairs, self._sources, strict=True))
        ]
        faces = any(job.find_face for job in jobs)
        load = partial(PairReader, self.root, faces, self.size if views else None, self._config.photos)
        batch: list[LoadedPair] = []
        found_on = networks_on(self.device if faces else "cpu", load)
        with self._networks, full_precision_on(self.device), found_on as load_there:
            if self._config.identity_against == "other":
                self._embed_all_targets(stop)
            ahead = 2 * self._config.batch_size
            for result in run_in_workers(load_there, PairReader.read, jobs, self._config.workers, stop, ahead):
                if not isinstance(result, LoadedPair):
                    yield self._add_failure(result)
                    continue
                batch.append(result)
                if len(batch) == self._config.batch_size:
                    yield from self._evaluate_batch(batch)
                    batch = []
            if batch:
                yield from self._evaluate_batch(batch)

    def document(self) -> dict[str, Any]:
        """Return all results as a JSON document; values that could not be measured are None."""
        evaluated = [number for number in range(len(self.pairs)) if number not in self.failed]
        targets = sorted({self.pairs[number].target for number in evaluated})
        truth = self._ground_truth(evaluated, targets)
        labelled, config = self._labels.labelled, self._config
        return {
            "dataset": str(self.root),
            "part": self.split or None,
            "size": self.size,
            "photos": str(config.photos) if config.photos else None,
            "pairs": len(evaluated),
            "subjects": len(targets),
            "people": len({*truth.person.tolist(), *truth.target_person.tolist()}),
            "yaw": {
                "labelled": int(labelled[evaluated].sum()),
                "measured": int((~labelled & ~np.isnan(self._yaw))[evaluated].sum()),
                "unknown": int(np.isnan(truth.yaw).sum()),
            },
            "recognizer": str(config.recognizer) if config.recognizer else None,
            "identity_against": config.identity_against if config.recognizer else None,
            "without_other_target": sum(not self._references[number] for number in evaluated),
            "landmarks": config.landmarks,
            "by": list(config.by) if len(config.by) > 1 else next(iter(config.by), None),
            "ranked_by": self.ranked_by,
            "models": [
                {"model": one.name, "name": name, **self._results(one, evaluated, truth, targets)}
                for one, name in zip(self.candidates, short_names(config.models), strict=True)
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
        if self._config.landmarks:
            row["landmark_distance"] = candidate.distances.get(number)
        if self._config.recognizer:
            row["identity_cosine"] = self._cosine(candidate, number)
        return row

    def _cosine(self, candidate: CandidateModel, number: int) -> float | None:
        """Return the mean cosine of a face to its references; 0 without a face, None without references."""
        reference, embedding = self._mean_reference(number), candidate.embeddings.get(number)
        if reference is None:
            return None
        return 0.0 if embedding is None else float(embedding @ reference)

    def _mean_reference(self, number: int) -> Embedding | None:
        """Return the mean embedding of a pair's references, (D,); its product with a face is their mean cosine."""
        known = [self._gallery[target] for target in self._references[number] if target in self._gallery]
        return np.mean(known, axis=0) if known else None

    def _ground_truth(self, evaluated: list[int], targets: list[str]) -> GroundTruth:
        pairs, person = [self.pairs[number] for number in evaluated], self._labels.person
        people = sorted({person[pair.input] for pair in pairs} | {person[target] for target in targets})
        target_index, person_index = ({name: place for place, name in enumerate(some)} for some in (targets, people))
        return GroundTruth(
            self._yaw[evaluated],
            np.array([person_index[person[pair.input]] for pair in pairs], np.intp),
            np.array([target_index[pair.target] for pair in pairs], np.intp),
            np.array([person_index[person[target]] for target in targets], np.intp),
            {column: [values[number] for number in evaluated] for column, values in self._labels.groups.items()},
        )

    def _results(
        self, candidate: CandidateModel, evaluated: list[int], truth: GroundTruth, targets: list[str]
    ) -> dict[str, Any]:
        unknown = [np.nan] * len(MEASURES)
        measures = np.array([candidate.measures.get(number, unknown) for number in evaluated])
        distances = [candidate.distances.get(number, np.nan) for number in evaluated]
        results = ModelResults(
            measures,
            np.array(distances) if self._config.landmarks else None,
            self._identity_scores(candidate, evaluated, truth, targets) if self._config.recognizer else None,
        )
        best, worst = candidate.best_and_worst()
        return {
            **summarize_model(truth, results),
            "reasons": candidate.reasons,
            "best": [self.row(candidate, pair.number) for pair in best],
            "worst": [self.row(candidate, pair.number) for pair in worst],
        }

    def _identity_scores(
        self, candidate: CandidateModel, evaluated: list[int], truth: GroundTruth, targets: list[str]
    ) -> IdentityScores:
        gallery = np.stack([self._gallery[target] for target in targets])
        zeros, unknown = np.zeros(gallery.shape[1]), np.full(gallery.shape[1], np.nan)
        faces = np.stack([candidate.embeddings.get(number, zeros) for number in evaluated])
        means = [self._mean_reference(number) for number in evaluated]
        references = np.stack([unknown if mean is None else mean for mean in means])
        left_out = truth.target if self._config.identity_against == "other" else None
        return compare_identities(truth, faces, gallery, references, left_out)

    def _embed_all_targets(self, stop: Stop) -> None:
        """Embed the targets before the faces, which are compared with targets of other pairs."""
        targets = sorted({pair.target for pair in self.pairs})
        load = partial(PairReader, self.root, False, None)
        workers, count = self._config.workers, self._config.batch_size
        found = iter(run_in_workers(load, PairReader.read_target, targets, workers, stop, 2 * count))
        while block := list(islice(found, count)):
            # those that cannot be read are reported with their pairs
            readable = [loaded for loaded in block if isinstance(loaded, LoadedTarget)]
            self._measure_targets({loaded.file: resize_square(loaded.image, self.size) for loaded in readable})

    def _measure_targets(self, targets: dict[str, Image]) -> None:
        """Compute what faces are compared with, for targets that are new."""
        if self._config.recognizer:
            new = [target for target in targets if target not in self._gallery]
            self._gallery |= zip(new, self._networks.embed([targets[target] for target in new]), strict=True)
        if self._config.landmarks:
            new = [target for target in targets if target not in self._points]
            self._points |= zip(new, self._networks.find_points([targets[target] for target in new]), strict=True)

    def _evaluate_batch(self, batch: list[LoadedPair]) -> list[int]:
        """Run every model on one batch and compare the faces; return the numbers of the pairs."""
        targets = [resize_square(pair.target, self.size) for pair in batch]
        for pair in batch:
            if not self._labels.labelled[pair.number]:
                self._yaw[pair.number] = pair.yaw
        names = [self.pairs[pair.number].target for pair in batch]
        self._measure_targets(dict(zip(names, targets, strict=True)))
        generated = [candidate.generate(batch) for candidate in self.candidates]
        for candidate, images in zip(self.candidates, generated, strict=True):
            faces = {place: image for place, image in enumerate(images) if image is not None}
            numbers = [batch[place].number for place in faces]
            measures = compare_faces(list(faces.values()), [targets[place] for place in faces], self.device)
            candidate.measures |= zip(numbers, measures, strict=True)
            self._measure_faces(candidate, numbers, list(faces.values()))
        for place, pair in enumerate(batch):
            self._add_examples(pair, [images[place] for images in generated])
        return [pair.number for pair in batch]

    def _measure_faces(self, candidate: CandidateModel, numbers: Sequence[int], faces: Sequence[Image]) -> None:
        """Embed generated faces and find their landmarks, as far as they are asked for."""
        if self._config.recognizer:
            candidate.embeddings |= zip(numbers, self._networks.embed(faces), strict=True)
        if self._config.landmarks:
            for number, points in zip(numbers, self._networks.find_points(faces), strict=True):
                target = self._points[self.pairs[number].target]
                if points is not None and target is not None:
                    candidate.distances[number] = mean_distance(points, target)

    def _add_examples(self, pair: LoadedPair, faces: list[Image | None]) -> None:
        """Offer a pair to every model as an example, or count why there is no face."""
        pictures = [pair.input, *(pair.reason if face is None else face for face in faces), pair.target]
        for candidate, face in zip(self.candidates, faces, strict=True):
            if face is None:
                candidate.reasons[pair.reason.partition(":")[0]] += 1
            elif (score := self.row(candidate, pair.number)[self.ranked_by]) is not None:
                candidate.add_example(RankedPair(score, pair.number, pictures))

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
