"""Loading quantized, LoRA-adapted simulators of every shape from disk."""

from __future__ import annotations

import shutil

import pytest
import tiny_models
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from lm_eval_plugin.errors import ConfigError, ModelError, SimulatorError
from lm_eval_plugin.models.adapters import check_declared_base
from lm_eval_plugin.models.footprint import dtype_for, value_bytes
from lm_eval_plugin.models.placement import read_max_memory
from lm_eval_plugin.models.quantized import load_quantized, quantized_layers

WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="tells what happens without a GPU")

KINDS = ("gpt2", "llama", "mistral")
TEXT = "What is 3 times 4?\nA. 12\nB. 7"


@pytest.fixture(scope="module")
def simulators(tmp_path_factory):
    """Base and adapter folders by the kind of architecture."""
    made = {}
    for kind in KINDS:
        base = tiny_models.save_model(tmp_path_factory.mktemp(kind), kind, spread=0.05)
        adapter = tmp_path_factory.mktemp(f"{kind}_adapter")
        targets = tiny_models.ADAPTER_TARGETS[kind]
        tiny_models.save_adapter(AutoModelForCausalLM.from_pretrained(base), adapter, targets=targets)
        made[kind] = (base, adapter)
    return made


def logits(lm):
    ids = torch.tensor([lm.tok_encode(TEXT, add_special_tokens=False)])
    with torch.no_grad():
        return lm.model(ids).logits[0].float()


def load(simulators, kind, quantization, **more):
    base, adapter = simulators[kind]
    return load_quantized({"pretrained": str(base), "peft": str(adapter), "device": "cpu", **more}, quantization)


def merged_logits(simulators, kind):
    """The logits of base and adapter merged into one unquantized model, by PEFT and transformers alone."""
    base, adapter = simulators[kind]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).merge_and_unload().eval()
    ids = torch.tensor([AutoTokenizer.from_pretrained(base)(TEXT, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        return model(ids).logits[0].float()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("quantization", "bound"), [("none", 0.999999), ("8bit", 0.999), ("nf4", 0.97)])
def test_every_quantization_agrees_with_the_unquantized_merge(simulators, kind, quantization, bound):
    lm = load(simulators, kind, quantization)
    assert (quantized_layers(lm.model) >= 8) == (quantization != "none")
    similarity = torch.nn.functional.cosine_similarity(merged_logits(simulators, kind), logits(lm), dim=-1)
    assert similarity.min() > bound


@pytest.mark.parametrize("kind", KINDS)
def test_the_adapter_changes_what_the_base_says(simulators, kind):
    base = load_quantized({"pretrained": str(simulators[kind][0]), "device": "cpu"}, "none")
    assert not torch.allclose(logits(base), logits(load(simulators, kind, "none")), atol=1e-3)


def test_max_length_is_an_upper_bound_of_the_window(simulators):
    assert load(simulators, "llama", "none", max_length=100).max_length == 100
    assert load(simulators, "llama", "none", max_length=100_000).max_length == 1024


def test_pad_is_eos(simulators):
    lm = load(simulators, "llama", "none")
    assert lm.tokenizer.pad_token_id == lm.tokenizer.eos_token_id


def test_an_adapter_of_another_shape_is_an_error_that_names_its_base(simulators):
    with pytest.raises(SimulatorError, match=r"does not fit the base .*it was trained on"):
        load_quantized({"pretrained": str(simulators["llama"][0]), "peft": str(simulators["gpt2"][1])}, "none")


def test_an_adapter_with_tensors_that_the_base_lacks_is_an_error(tmp_path, simulators):
    deeper = tiny_models.save_model(tmp_path / "deeper", "llama", layers=3)
    adapter = tmp_path / "adapter"
    tiny_models.save_adapter(AutoModelForCausalLM.from_pretrained(deeper), adapter, targets=["q_proj", "v_proj"])
    with pytest.raises(SimulatorError, match="have no counterpart"):
        load_quantized({"pretrained": str(simulators["llama"][0]), "peft": str(adapter)}, "none")


def test_dtype_that_torch_lacks_is_an_error_that_names_it():
    with pytest.raises(ConfigError, match=r"model_args\.dtype is 'float8'"):
        dtype_for("float8", "none", "cpu")


def test_two_different_hub_names_are_two_different_bases(tmp_path, simulators):
    with pytest.raises(SimulatorError, match="was trained on 'meta-llama/Meta-Llama-3-8B'"):
        check_declared_base("mistralai/Mistral-7B-v0.1", "an/adapter", "meta-llama/Meta-Llama-3-8B")
    check_declared_base("somebody/mistral-7b-v0.1", "an/adapter", "mistralai/Mistral-7B-v0.1")
    check_declared_base(str(simulators["llama"][0]), "an/adapter", "mistralai/Mistral-7B-v0.1")


def test_weights_that_cannot_be_had_say_what_to_do():
    with pytest.raises(ModelError, match="accept its licence on its page"):
        load_quantized({"pretrained": "meta-llama/Meta-Llama-3-8B"}, "8bit")


def test_weights_in_pickles_are_not_loaded(tmp_path, simulators):
    base = simulators["llama"][0]
    model = AutoModelForCausalLM.from_pretrained(base)
    model.config.save_pretrained(tmp_path)
    tiny_models.tokenizer().save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_quantized({"pretrained": str(tmp_path)}, "none")


def pickled(adapter, folder):
    """A copy of an adapter whose weights are a pickle."""
    folder.mkdir(parents=True)
    shutil.copy(adapter / "adapter_config.json", folder)
    torch.save(load_file(adapter / "adapter_model.safetensors"), folder / "adapter_model.bin")
    return folder


def test_adapters_in_pickles_are_refused_before_the_base_is_loaded(tmp_path, simulators):
    base, adapter = simulators["llama"]
    without_weights = tmp_path / "base"
    shutil.copytree(base, without_weights)
    (without_weights / "model.safetensors").unlink()
    args = {"pretrained": str(without_weights), "peft": str(pickled(adapter, tmp_path / "adapter"))}
    with pytest.raises(ModelError, match="only weights in safetensors are loaded") as raised:
        load_quantized(args, "none")
    assert "save_pretrained" in str(raised.value)


def cached(adapter, cache, files):
    """An adapter as the hub's cache holds it, at the branch main."""
    repository = cache / "models--own--adapter"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(adapter, repository / "snapshots" / ("0" * 40))
    assert all((repository / "snapshots" / ("0" * 40) / file).is_file() for file in files)


def test_adapters_in_pickles_are_refused_from_the_cache_too(tmp_path, simulators, monkeypatch):
    base, adapter = simulators["llama"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    cached(pickled(adapter, tmp_path / "adapter"), tmp_path / "hub", ["adapter_model.bin"])
    with pytest.raises(ModelError, match="only weights in safetensors are loaded"):
        load_quantized({"pretrained": str(base), "peft": "own/adapter"}, "none")


def test_adapters_in_safetensors_are_loaded_from_the_cache(tmp_path, simulators, monkeypatch):
    base, adapter = simulators["llama"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    cached(adapter, tmp_path / "hub", ["adapter_model.safetensors"])
    lm = load_quantized({"pretrained": str(base), "peft": "own/adapter", "device": "cpu"}, "none")
    assert torch.allclose(logits(lm), logits(load(simulators, "llama", "none")))


def test_a_model_that_cannot_be_quantized_here_names_the_way_out(simulators, monkeypatch):
    import transformers.quantizers.quantizer_bnb_8bit as quantizer

    def refuses(self, *args, **kwargs):
        raise ImportError("bitsandbytes does not run on this machine")

    monkeypatch.setattr(quantizer.Bnb8BitHfQuantizer, "validate_environment", refuses)
    with pytest.raises(ModelError, match="quantization: none"):
        load(simulators, "llama", "8bit")


def test_gpus_have_numbers_in_max_memory_although_json_keys_are_strings():
    assert read_max_memory({"0": "20MiB", 1: 5, "cpu": "4GiB"}) == {0: "20MiB", 1: 5, "cpu": "4GiB"}
    assert read_max_memory(None) is None


def test_max_memory_that_is_no_mapping_is_an_error_that_shows_one(simulators):
    with pytest.raises(ConfigError, match=r'model_args.max_memory is \'20GiB\'; .*"cpu"'):
        load(simulators, "llama", "none", max_memory="20GiB")


@WITHOUT_GPU
def test_max_memory_without_a_gpu_is_ignored_aloud_and_leaves_the_layers_quantized(simulators, caplog):
    lm = load(simulators, "llama", "8bit", max_memory={"0": "20MiB", "cpu": "4GiB"})
    assert quantized_layers(lm.model) >= 8
    assert "max_memory is ignored" in caplog.text


@WITHOUT_GPU
def test_parallelize_without_a_gpu_leaves_the_layers_quantized(simulators):
    base, adapter = simulators["llama"]
    lm = load_quantized({"pretrained": str(base), "peft": str(adapter), "parallelize": True}, "8bit")
    assert quantized_layers(lm.model) >= 8


@WITHOUT_GPU
@pytest.mark.parametrize("quantization", ["8bit", "nf4", "none"])
def test_a_model_beyond_main_memory_is_refused_before_its_weights_are_looked_for(tmp_path, quantization):
    # An embedding of terabytes, of which only the configuration exists.
    LlamaConfig(vocab_size=10**9, hidden_size=8192, num_hidden_layers=1).save_pretrained(tmp_path)
    tiny_models.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="of main memory for its weights") as raised:
        load_quantized({"pretrained": str(tmp_path)}, quantization)
    assert "chatbench-distilgpt2" in str(raised.value)


def test_a_configuration_of_no_language_model_is_said_to_be_that(tmp_path):
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    tiny_models.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_quantized({"pretrained": str(tmp_path), "device": "cpu"}, "8bit")


def test_quantized_models_on_the_cpu_keep_the_rest_in_full_precision():
    assert dtype_for("auto", "8bit", "cpu") is torch.float32
    assert dtype_for("auto", "none", "cpu") == "auto"
    assert dtype_for("auto", "8bit", "cuda:0") == "auto"
    assert dtype_for("bfloat16", "8bit", "cpu") is torch.bfloat16


def test_the_width_of_auto_is_that_of_the_checkpoint():
    assert value_bytes("auto", 2) == 2
    assert value_bytes(torch.float32, 2) == 4
