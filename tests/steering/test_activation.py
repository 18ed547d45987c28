"""Steering inside a model: planted directions are found, vectors are kept and read back, wrong ones are refused."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from tests.steering.planted import LAYERS, WIDTH, write_anchors, write_planted_model
from valueflow.llm import TransformersModel, release
from valueflow.run import InputError, built, compose_group
from valueflow.steering import ActivationSteering
from valueflow.steering.methods import Request, Steered
from valueflow.steering.search import SearchSettings, Trial
from valueflow.steering.targets import INTENSITIES, Target
from valueflow.steering.value_vectors import file_of, load_vectors
from valueflow.theory import load_theory
from valueflow.vidb import Anchors, load_vidb

PVQ = load_theory("pvq")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


@pytest.fixture(scope="module")
def planted(model_folder: Path) -> Any:
    yield write_planted_model(model_folder)
    release()


@pytest.fixture
def model(model_folder: Path, planted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransformersModel:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "cache"))
    return TransformersModel(model=str(model_folder), device="cpu")


def method(name: str = "activation", **changes: Any) -> ActivationSteering:
    made: ActivationSteering = built({**compose_group("steering", name), **changes})
    return made


def steered(
    steering: ActivationSteering,
    model: Any,
    folder: Path,
    *targets: tuple[str, int],
    queries: Sequence[str] = ("Shall I?",),
    **anchors: Any,
) -> Steered:
    vidb = load_vidb(str(write_anchors(folder / "anchors.csv", **anchors)), PVQ)

    def anchors_of(value: str) -> Anchors:
        return vidb.of(PVQ, value)

    frame = pd.DataFrame({"query": list(queries), "dataset": "d"})
    return steering.steer(Request(PVQ, tuple(Target(*one) for one in targets), frame, anchors_of, 42, model))


@pytest.mark.parametrize("name", ["mean_difference", "pca", "probe"])
def test_a_planted_direction_is_recovered(name: str, model: TransformersModel, planted: Any, tmp_path: Path) -> None:
    found = steered(method(method=name), model, tmp_path, ("power", 2)).vectors["power"]
    assert found.vectors.shape == (LAYERS, WIDTH)
    assert (found.vectors @ planted > 0.95).all()
    assert (np.array(found.card["halves_cosine"]) > 0.95).all()


@pytest.mark.parametrize("intensity", INTENSITIES)
def test_what_is_added_is_the_multiple_of_the_mean_norm_along_the_direction(
    intensity: int, model: TransformersModel, tmp_path: Path
) -> None:
    steering = method(layer=[1, 3], tokens="generated")
    made = steered(steering, model, tmp_path, ("power", intensity))
    found, multiple = made.vectors["power"], steering.strength[intensity + 2]
    assert made.columns == {"strength": f"{multiple:g}"}
    assert [one.layer for one in made.additions] == ([1, 3] if intensity else [])
    for one in made.additions:
        assert one.strength == pytest.approx(multiple * found.norms[one.layer])
        assert one.tokens == "generated"
        np.testing.assert_array_equal(one.vector, found.vectors[one.layer])


@pytest.mark.parametrize(("fraction", "layer"), [(0, 0), (0.5, 2), (0.4, 1), (1, 3)])
def test_a_fraction_of_depth_names_a_layer(
    fraction: float, layer: int, model: TransformersModel, tmp_path: Path
) -> None:
    made = steered(method(layer=fraction), model, tmp_path, ("power", 2))
    assert [one.layer for one in made.additions] == [layer]


def test_several_values_are_added_each_at_its_own_strength(model: TransformersModel, tmp_path: Path) -> None:
    made = steered(method("multi_activation"), model, tmp_path, ("power", 2), ("security", -1))
    assert made.columns == {"strength": "0.4|-0.2"}
    for one, (value, multiple) in zip(made.additions, (("power", 0.4), ("security", -0.2)), strict=True):
        found = made.vectors[value]
        assert one.strength == pytest.approx(multiple * found.norms[one.layer])
        np.testing.assert_array_equal(one.vector, found.vectors[one.layer])


def test_the_prompt_is_that_of_the_method_it_is_combined_with(model: TransformersModel, tmp_path: Path) -> None:
    asked = (model, tmp_path, ("power", 2))
    plain, both = (steered(method(name), *asked) for name in ("activation", "anchor+activation"))
    definition = PVQ.nodes["power"].definition
    assert definition not in plain.conversations[0][0]["content"]
    assert definition in both.conversations[0][0]["content"]
    assert plain.additions == both.additions
    several = steered(method("multi_anchor+activation"), model, tmp_path, ("power", 2), ("security", 1))
    assert several.conversations[0][0]["content"].count("\n- You s") == 2


# ---- Files


def test_vectors_are_made_once_and_other_programs_can_read_them(
    model: TransformersModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = steered(method(), model, tmp_path, ("power", 2)).vectors["power"]
    (file,) = (tmp_path / "cache").rglob("*.safetensors")
    np.testing.assert_array_equal(load_file(file)["vectors"], first.vectors)
    card = json.loads(file.with_suffix(".json").read_text())
    assert (card["theory"], card["value"], card["layers"], card["width"]) == ("pvq", "power", LAYERS, WIDTH)
    assert (card["supporting"], card["opposing"]) == (10, 10)
    assert card["model"] == model.identity()["model"]
    monkeypatch.setattr("valueflow.steering.fitting.residual_stream", None)  # not asked again
    again = steered(method(), model, tmp_path, ("power", 1)).vectors["power"]
    np.testing.assert_array_equal(again.vectors, first.vectors)
    for changes in ({"method": "pca"}, {"anchors_from": 5.0}, {"max_anchors": 3}, {"question": "Who are you?"}):
        with pytest.raises(TypeError):
            steered(method(**changes), model, tmp_path, ("power", 2))


def test_vectors_made_before_are_used_in_the_place_of_anchors(model: TransformersModel, tmp_path: Path) -> None:
    first = steered(method(), model, tmp_path, ("power", 2))
    for value, found in first.vectors.items():
        found.save(file_of(tmp_path / "vectors", value))
    for source in (tmp_path / "vectors", tmp_path / "vectors" / "power.safetensors"):
        again = steered(method(vectors=str(source)), model, tmp_path, ("power", 2), values=("security",))
        assert again.additions == first.additions


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.unlink(), "has no vectors of 'power'"),
        (lambda file: file.with_suffix(".json").unlink(), "power.json must both be there"),
        (lambda file: file.with_suffix(".json").write_text("{"), "cannot be read"),
        (lambda file: file.with_suffix(".json").write_text("[1]"), "is no card of vectors"),
        (lambda file: file.write_bytes(b"\x00" * 40), "cannot be read"),
        (lambda file: changed(file, format=2), "format 2, this version reads 1"),
        (lambda file: changed(file, layers=9), r"tensor 'vectors' has shape \(4, 32\)"),
        (lambda file: changed(file, value="security"), "holds vectors of pvq/security, not of pvq/power"),
        (lambda file: changed(file, model="org/other"), "holds vectors of model 'org/other'"),
    ],
)
def test_vectors_that_cannot_be_used_are_told_in_one_line(
    spoil: Any, message: str, model: TransformersModel, tmp_path: Path
) -> None:
    first = steered(method(), model, tmp_path, ("power", 2))
    file = file_of(tmp_path / "vectors", "power")
    first.vectors["power"].save(file)
    assert load_vectors(file).card["value"] == "power"
    spoil(file)
    with pytest.raises(InputError, match=message):
        steered(method(vectors=str(tmp_path / "vectors")), model, tmp_path, ("power", 2))


def changed(file: Path, **more: Any) -> None:
    card = file.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | more))


# ---- What cannot work


def test_a_value_without_anchors_on_a_side_is_refused(model: TransformersModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'power' has no opposing anchors \(-3 or below\).*between -2 and 9"):
        steered(method(), model, tmp_path, ("power", 2), lowest=-2.0)
    with pytest.raises(InputError, match="'power' has no supporting anchors"):
        steered(method(anchors_from=9.5), model, tmp_path, ("power", 2), lowest=-10.0)


def test_a_layer_that_the_model_does_not_have_is_refused(model: TransformersModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="layer 4 does not exist: the model has 4 layers, 0 to 3"):
        steered(method(layer=[1, 4]), model, tmp_path, ("power", 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": 1.5}, "layer"),
        ({"layer": 12}, r"12 is neither a fraction.*\[12\] would be"),
        ({"layer": []}, "neither a fraction of depth"),
        ({"layer": [1, 1]}, "list of different layer numbers"),
        ({"strength": [0, 1]}, "strength has 2 numbers"),
        ({"strength": [0, 0, 0, 0, float("nan")]}, "strength"),
        ({"method": "best"}, "mean_difference"),
        ({"tokens": "some"}, "generated"),
        ({"anchors_from": 0}, "anchors_from=0"),
        ({"several": True, "prompt": compose_group("steering", "anchor")}, "takes one value"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        method(**changes)


# ---- Search


def searching(request: Request) -> Request:
    """A request whose held-out queries have scores made of what is added: layer 1 moves most, beyond 0.5 it breaks."""

    def held_out(search: SearchSettings, what: str) -> Any:
        def attempt(steer: Any, value: str) -> Trial:
            made = steer(replace(request, queries=request.queries.head(1)))
            if not made.additions:
                said = made.conversations[0][0]["content"]
                degrees = {
                    "strongly value": 4.0,
                    "slightly value": 2.0,
                    "slightly reject": -2.0,
                    "strongly reject": -4.0,
                }
                return Trial(next((score for words, score in degrees.items() if words in said), 0.0), 10.0)
            (one,) = made.additions
            multiple = one.strength / NORMS[one.layer]
            return Trial(10 * multiple * (2 if one.layer == 1 else 1), 10.0 if abs(multiple) < 0.5 else 50.0)

        return attempt

    return replace(request, held_out=held_out)


NORMS: dict[int, float] = {}


def test_layer_and_strengths_are_searched_on_held_out_queries(model: TransformersModel, tmp_path: Path) -> None:
    plain = steered(method(), model, tmp_path, ("power", 2))
    NORMS.update(enumerate(plain.vectors["power"].norms.tolist()))
    search = compose_group("steering", "activation")["search"] | {
        "layers": [0, 0.33, 0.66, 1],
        "strengths": [0.1, 0.2, 0.6],
    }
    steering = method(layer="search", strength="search", search=search)
    vidb = load_vidb(str(tmp_path / "anchors.csv"), PVQ)
    frame = pd.DataFrame({"query": ["Shall I?"], "dataset": "d"})
    asked = Request(PVQ, (Target("power", 1),), frame, lambda value: vidb.of(PVQ, value), 42, model)
    made = steering.steer(searching(asked))
    report: Any = made.report["activation"]
    # 20 points per multiple at layer 1: 0.2 comes to the 4 of the words, 0.1 to their 2; 0.6 is not fluent.
    assert report["power"]["layers"] == [1]
    assert report["power"]["strengths"] == [-0.2, -0.1, 0.0, 0.1, 0.2]
    assert made.columns == {"strength": "0.1"}
    assert {row["trial"] for row in report["power"]["search"]} == {"unsteered", "anchor", "activation"}
    fixed = method(layer="search", search=search).steer(searching(asked))
    assert [one.layer for one in fixed.additions] == [1]
    assert fixed.columns == {"strength": "0.2"}
