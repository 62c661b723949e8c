"""What the doctor finds on this machine, and how it prints it."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import shutil
from types import SimpleNamespace

import pytest
import tiny_models
from rich.console import Console

from lm_eval_plugin.config.presets import DEMO_SIMULATOR_ADAPTER, DEMO_SIMULATOR_BASE, PRESETS
from lm_eval_plugin.config.simulator import read_simulator
from lm_eval_plugin.doctor import diagnose, doctor
from lm_eval_plugin.doctor.diagnosis import Check, Diagnosis, Status, as_json_text, render
from lm_eval_plugin.errors import ConfigError

UNCACHED = {"preset": "demo", "base": "own/uncached"}


@pytest.fixture(scope="module")
def everything():
    """The diagnosis of all presets."""
    return diagnose()


def checks_of(simulator):
    config = read_simulator(simulator, "test")
    return {check.name: check for check in diagnose({config.label: config}).simulators[config.label]}


def test_all_presets_are_looked_at(everything):
    assert everything.simulators.keys() == PRESETS.keys()


def test_the_installation_is_sound_offline(everything):
    assert everything.sound
    found = {check.name: check for check in everything.fundamentals}
    for name in (
        "python",
        "lm_eval",
        "torch",
        "transformers",
        "chatbench-lm-eval",
        "bitsandbytes on cpu",
        "main memory",
    ):
        assert found[name].status is Status.OK
    hub = found["Hugging Face hub"]
    assert hub.status is Status.WARNING
    assert "HF_HUB_OFFLINE" in hub.text


def test_bundled_simulators_load(everything):
    assert everything.loads("demo")
    assert everything.loads("scripted")


def test_a_model_that_is_not_in_the_cache_is_a_problem_offline():
    found = checks_of(UNCACHED)
    assert found["base"].status is Status.PROBLEM
    assert "hf download own/uncached" in found["base"].advice
    assert found["memory"].status is Status.WARNING


def test_published_sizes_are_told_although_nothing_is_downloaded(everything):
    found = {check.name: check for check in everything.simulators["chatbench-mistral-7b"]}
    assert "14.5 GB in none" in found["memory"].text


def test_a_check_without_a_problem_has_no_advice_to_follow(everything):
    every = [*everything.fundamentals, *(check for checks in everything.simulators.values() for check in checks)]
    assert all(check.advice for check in every if check.status is Status.PROBLEM)
    assert not [check for check in every if check.status is Status.OK and check.advice]


def test_a_folder_without_weights_is_a_problem(tmp_path):
    shutil.copy(DEMO_SIMULATOR_BASE / "config.json", tmp_path)
    found = checks_of({"preset": "demo", "base": str(tmp_path)})
    assert found["base"].status is Status.PROBLEM
    assert found["adapter"].status is Status.OK


def test_a_folder_with_one_of_two_shards_is_a_problem(tmp_path):
    shutil.copy(DEMO_SIMULATOR_BASE / "config.json", tmp_path)
    weights = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(weights))
    (tmp_path / "one.safetensors").touch()
    assert checks_of({"preset": "demo", "base": str(tmp_path)})["base"].status is Status.PROBLEM
    (tmp_path / "two.safetensors").touch()
    assert checks_of({"preset": "demo", "base": str(tmp_path)})["base"].status is Status.OK


def test_a_model_beyond_this_machine_is_a_problem_that_names_a_smaller_one(tmp_path):
    from transformers import LlamaConfig

    LlamaConfig(vocab_size=10**9, hidden_size=8192, num_hidden_layers=1).save_pretrained(tmp_path)
    found = checks_of({"preset": "demo", "base": str(tmp_path), "model_args": {"device": "cpu"}})["placement"]
    assert found.status is Status.PROBLEM
    assert "chatbench-distilgpt2" in found.advice


def test_a_broken_configuration_is_a_check_and_no_exception(tmp_path):
    (tmp_path / "config.json").write_text("{")
    found = checks_of({"preset": "demo", "base": str(tmp_path)})
    assert found["base"].status is Status.PROBLEM
    assert found["memory"].status is Status.WARNING


def test_the_footprint_of_a_local_model_is_its_own(tmp_path):
    folder = tiny_models.save_model(tmp_path, "gpt2")
    found = checks_of({"policy": "chatbench", "model_args": {"pretrained": str(folder)}})
    assert "kB in 8bit" in found["memory"].text
    assert found["placement"].status is Status.OK


def test_a_key_for_an_api_is_looked_for_and_never_shown(monkeypatch):
    simulator = {"policy": "two_step", "backend": "openai-chat-completions", "model_args": {"model": "gpt-4o"}}
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    missing = checks_of(simulator)["API"]
    assert missing.status is Status.PROBLEM
    assert "Set OPENAI_API_KEY" in missing.advice
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    present = checks_of(simulator)["API"]
    assert present.status is Status.OK
    assert "sk-secret" not in str(present)


def api(backend, policy="two_step", **model_args):
    return {"policy": policy, "backend": backend, "model_args": {"model": "m", **model_args}}


URL = "http://localhost:1/v1/completions"


@pytest.mark.parametrize(
    ("simulator", "name", "text"),
    [
        (api("nosuch"), "backend", "no model type 'nosuch'"),
        (api("litellm"), "backend", "needs litellm, which is not installed"),
        (api("local-chat-completions", "chatbench", base_url=URL), "backend", "continues a text"),
        (api("anthropic-chat", "userlm"), "backend", "continues a text"),
        (api("anthropic-chat"), "API", "needs ANTHROPIC_API_KEY"),
        (api("local-completions"), "API", "needs base_url"),
        (api("local-chat-completions"), "API", "needs base_url"),
    ],
)
def test_a_backend_that_cannot_be_used_is_a_problem(simulator, name, text, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    found = checks_of(simulator)[name]
    assert found.status is Status.PROBLEM
    assert text in found.text
    assert found.advice


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="tells what happens without vLLM")
def test_a_backend_whose_package_is_not_installed_is_a_problem_that_names_it():
    found = checks_of({"policy": "chatbench", "backend": "vllm", "model_args": {"pretrained": "own/uncached"}})
    assert found["backend"].status is Status.PROBLEM
    assert found["backend"].advice == "pip install vllm"


def test_a_completions_api_is_looked_at_as_an_api():
    found = checks_of(api("local-completions", "chatbench", base_url="http://me:secret@localhost:1/v1/completions"))
    assert found["API"].status is Status.OK
    assert f"local-completions at {URL}" in found["API"].text
    assert "weights" not in found


def test_simulators_of_one_label_are_told_apart_by_what_was_asked_for(capsys):
    asked = [json.dumps({"preset": "demo", "model_args": {"device": "cpu", "batch_size": size}}) for size in (1, 2)]
    assert doctor(asked, as_json=True) == 0
    assert list(json.loads(capsys.readouterr().out)["simulators"]) == asked


def test_secrets_in_what_was_asked_for_are_not_shown(capsys):
    asked = api("local-completions", base_url=URL, auth_token="hunter2", header={"x": "hunter2"})
    doctor([json.dumps(asked)], as_json=False)
    assert "hunter2" not in capsys.readouterr().out


@pytest.mark.parametrize(("free", "status"), [(10**9, Status.PROBLEM), (10**12, Status.OK)])
def test_a_download_is_compared_with_the_room_for_it(free, status, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    found = checks_of("userlm-8b")["download"]
    assert found.status is status
    assert found.text.startswith("32.1 GB to download for microsoft/UserLM-8b")


def test_nothing_is_to_be_downloaded_for_a_local_folder():
    assert "download" not in checks_of("demo")


def test_double_quantization_makes_the_estimate_smaller(tmp_path):
    folder = tiny_models.save_model(tmp_path, "llama", layers=8)
    plain, double = (
        checks_of(
            {
                "policy": "chatbench",
                "quantization": "nf4",
                "model_args": {"pretrained": str(folder), "device": "cpu", "bnb_4bit_use_double_quant": switch},
            }
        )["memory"].text
        for switch in (False, True)
    )
    size = re.compile(r"([\d.]+) kB in nf4")
    assert float(size.search(double)[1]) < float(size.search(plain)[1])


def test_a_checkpoint_that_is_stored_quantized_is_not_estimated(tmp_path):
    folder = tiny_models.save_model(tmp_path, "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "gptq"}}))
    found = checks_of({"policy": "chatbench", "model_args": {"pretrained": str(folder)}})
    assert "stored quantized" in found["memory"].text
    assert "placement" not in found


def test_tasks_that_are_kept_from_the_host_are_a_warning(monkeypatch):
    monkeypatch.setenv("CHATBENCH_AUTOLOAD", "0")
    tasks = {check.name: check for check in diagnose({}).fundamentals}["tasks"]
    assert tasks.status is Status.WARNING
    assert "chatbench path tasks" in tasks.advice


def test_the_exit_code_tells_whether_what_was_asked_for_would_load(capsys):
    assert doctor(["demo", "scripted"], as_json=False) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[:3]] == [
        ["demo", "would", "load"],
        ["scripted", "would", "load"],
        [],
    ]
    assert doctor(["demo", json.dumps(UNCACHED)], as_json=True) == 1
    printed = json.loads(capsys.readouterr().out)
    assert [simulator["loads"] for simulator in printed["simulators"].values()] == [True, False]


def test_simulators_are_named_or_given_as_json(capsys):
    given = {
        "preset": "demo",
        "base": str(DEMO_SIMULATOR_BASE),
        "adapter": str(DEMO_SIMULATOR_ADAPTER),
        "quantization": "nf4",
    }
    assert doctor([json.dumps(given)], as_json=False) == 0
    assert "nf4, whole on" in capsys.readouterr().out


@pytest.mark.parametrize("asked", ["no-such-simulator", "{'preset': 'demo'}"])
def test_what_is_no_simulator_is_a_configuration_error(asked):
    with pytest.raises(ConfigError, match="chatbench doctor"):
        doctor([asked], as_json=False)


STRANGE = Check("[bold]name[/bold]", Status.PROBLEM, "[red]text[/red] :smile: [/nothing]", "do [this]")


def test_what_is_printed_is_plain_text():
    console = Console(file=io.StringIO(), width=120)
    render(Diagnosis((STRANGE,), {"[link=x]label": (STRANGE,)}), console)
    printed = console.file.getvalue()
    for text in ("[bold]name[/bold]", "[red]text[/red] :smile: [/nothing]", "do [this]", "[link=x]label"):
        assert text in printed


def test_json_holds_every_field_of_a_check():
    diagnosis = Diagnosis((STRANGE,), {"a": (STRANGE,), "b": ()})
    printed = json.loads(as_json_text(diagnosis))
    assert printed["sound"] is False
    assert printed["checks"] == [
        {"name": STRANGE.name, "status": "problem", "text": STRANGE.text, "advice": STRANGE.advice}
    ]
    assert printed["simulators"]["a"]["loads"] is False
    assert printed["simulators"]["b"] == {"loads": True, "checks": []}


def test_only_a_problem_keeps_a_simulator_from_loading():
    warned = Check("placement", Status.WARNING, "slow", "use nf4")
    assert Diagnosis((), {"a": (warned,)}).loads("a")


def test_advice_is_said_once_for_all_that_it_is_about():
    missing = tuple(
        Check(part, Status.PROBLEM, f"own/{part}: not there", f"Fetch it with `hf download own/{part}`.")
        for part in ("base", "adapter")
    )
    buffer = io.StringIO()
    render(Diagnosis((), {"one": missing, "two": missing, "fine": ()}), Console(file=buffer, width=200))
    shown = [line.rstrip() for line in buffer.getvalue().splitlines()]
    assert [line.split(maxsplit=1)[0] for line in shown[:3]] == ["one", "two", "fine"]
    assert shown[0].split(maxsplit=1)[1] == "cannot run  own/base: not there"
    assert [line for line in shown if "hf download" in line] == [
        "own/base, own/adapter: Fetch it with `hf download NAME`."
    ]
