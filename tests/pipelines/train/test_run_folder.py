"""Files of a run folder that were changed or cut off."""

import json
from pathlib import Path

import pytest

from pipelines.train.run_folder import Metrics, claim_run
from toolkit.errors import ConfigError


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, "null", '{"a": 1}', "\ud800"])
def test_a_config_that_was_changed_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content, errors="surrogatepass")
    with pytest.raises(ConfigError, match="config"):
        claim_run(tmp_path, {"steps": 1})


def test_damaged_lines_of_metrics_are_dropped(tmp_path: Path) -> None:
    lines = ['{"step": 1}', "{not json}", '{"step": "x"}', "[1]}", "{}", '{"step": 2}', '{"step": 9}', '{"st']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    Metrics(tmp_path, 5)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'


OLD = {"recipe": "refiner", "settings": {"alone": "5"}, "recipe_config": {"alone": 5, "strangers": 8, "mirror": 0.5}}
NEW = {
    "recipe": "refiner",
    "settings": {"gan_warmup": "5"},
    "recipe_config": {"gan_warmup": 5, "identity_warmup": 8, "flip": 0.5},
}


def test_a_run_of_an_earlier_version_is_compared_under_todays_names(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(OLD))
    claim_run(tmp_path, NEW)
    assert json.loads((tmp_path / "config.json").read_text()) == OLD
    other = NEW | {"recipe_config": NEW["recipe_config"] | {"identity_warmup": 9}}  # type: ignore[operator]
    with pytest.raises(ConfigError, match="another config: identity_warmup 8 there, 9 now"):
        claim_run(tmp_path, other)


def test_a_users_recipe_may_use_the_old_names(tmp_path: Path) -> None:
    own = {"settings": {"mirror": "1"}, "recipe_config": {"mirror": 1, "alone": 2}}
    claim_run(tmp_path, own)
    claim_run(tmp_path, own)
    with pytest.raises(ConfigError, match="mirror 1 there, 2 now"):
        claim_run(tmp_path, own | {"recipe_config": {"mirror": 2, "alone": 2}})
