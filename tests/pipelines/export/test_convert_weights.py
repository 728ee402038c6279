"""Weights as scaleway/frontalization saved them: pickled modules in both formats of torch; and harmful pickles."""

import pickle
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from models.encoder_decoder import EncoderDecoder
from models.refiner import Refiner
from pipelines.export.convert_weights import convert_weights
from pipelines.weights.checkpoint import GeneratorCard, load_generator, save_generator
from pipelines.weights.normalization import Normalization
from tests.conftest import Run
from toolkit.errors import CheckpointError


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A module as the published one is: class G of a file network.py, all layers in one sequence called main."""
    torch.manual_seed(5)
    net = EncoderDecoder()
    for buffer in net.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    network = types.ModuleType("network")

    class G(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Sequential(*net.encoder, *net.decoder)

    G.__module__, G.__qualname__ = "network", "G"
    network.G = G  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "network", network)
    return G()


def layers_of(published: nn.Module) -> nn.Sequential:
    """Return the one sequence of all its layers."""
    layers = published.main
    assert isinstance(layers, nn.Sequential)
    return layers


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch: the source of class G is nowhere
def test_a_pickled_module_becomes_a_generator_of_ours(
    as_zip: bool, published: nn.Module, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(published, tmp_path / "v0.pt", _use_new_zipfile_serialization=as_zip)
    monkeypatch.delitem(sys.modules, "network")
    result = run("convert", tmp_path / "v0.pt", tmp_path / "v0.safetensors")
    assert result.exit_code == 0, result.stderr
    net, card = load_generator(tmp_path / "v0.safetensors", torch.device("cpu"))
    assert (card.architecture, card.normalization.scale) == ("encoder_decoder", 128)
    image = torch.rand(2, 3, 128, 128)
    torch.testing.assert_close(net(image), layers_of(published.eval())(image))


class _Bite:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)


def test_a_pickle_that_would_run_something_is_refused_by_name(tmp_path: Path, run: Run) -> None:
    for number, content in enumerate((_Bite(tmp_path / "bitten"), {"main": _Bite(tmp_path / "bitten")})):
        torch.save(content, tmp_path / f"{number}.pt")
        torch.save(content, tmp_path / f"old{number}.pt", _use_new_zipfile_serialization=False)
        (tmp_path / f"raw{number}.pt").write_bytes(pickle.dumps(content))
        for name in (f"{number}.pt", f"old{number}.pt", f"raw{number}.pt"):
            result = run("convert", tmp_path / name, tmp_path / "out.safetensors")
            assert result.exit_code == 2
            assert "more than weights" in result.stderr.replace("\n", " ")
    assert not (tmp_path / "bitten").exists()
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_other_files_are_refused(published: nn.Module, tmp_path: Path, run: Run) -> None:
    torch.save(published.state_dict(), tmp_path / "state.pt")
    published.main = layers_of(published)[:5]
    torch.save(published, tmp_path / "short.pt")
    (tmp_path / "text.pt").write_text("weights")
    refusals = {"state": "not a pickled module", "short": "do not fit", "text": "more than", "no": "no such"}
    for name, says in refusals.items():
        result = run("convert", tmp_path / f"{name}.pt", tmp_path / "out.safetensors")
        assert result.exit_code == 2, name
        assert says in result.stderr.replace("\n", " ")


def test_a_runs_weights_are_halved(tmp_path: Path, run: Run) -> None:
    card = GeneratorCard(
        architecture="refiner", image_size=128, template="chin", normalization=Normalization(), recipe="refiner", step=3
    )
    net = Refiner()
    (tmp_path / "run").mkdir()
    save_generator(tmp_path / "run" / "generator.safetensors", net, card)
    assert run("convert", tmp_path / "run", tmp_path / "half.safetensors").exit_code == 0
    again, same = load_generator(tmp_path / "half.safetensors", torch.device("cpu"))
    assert same == card
    for name, value in net.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-3, atol=1e-6)
    whole = (tmp_path / "run" / "generator.safetensors").stat().st_size
    assert (tmp_path / "half.safetensors").stat().st_size < 0.52 * whole


def test_a_pickle_of_few_bytes_takes_little_memory(tmp_path: Path) -> None:
    """The reader of a pickle allocates up to its highest memo index: here sixty gigabytes."""
    (tmp_path / "x.pt").write_bytes(b"\x80\x02Nr\xff\xff\xff\xff.")
    with pytest.raises(CheckpointError, match="its memo has more than"):
        convert_weights(tmp_path / "x.pt", tmp_path / "out.safetensors")
