import pytest
import transformers

from lm_eval_plugin.models.generation.neutrality.position_schemes import switching_scheme

SWITCHING = [
    {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
    {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
    {"rope_parameters": {"rope_type": "longrope"}},
    {"rope_parameters": {"full_attention": {"rope_type": "dynamic"}, "sliding_attention": {"rope_type": "default"}}},
    {"text_config": {"rope_scaling": {"type": "su"}}},
    {"use_dynamic_ntk": True},
]
FIXED = [
    {},
    {"rope_scaling": None},
    {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    {"rope_parameters": {"rope_type": "llama3"}},
    {"rope_parameters": {"rope_type": "yarn"}},
    {"use_dynamic_ntk": False},
    {"type": "dynamic"},
    {"quantization_config": {"activation_scheme": "dynamic", "type": "dynamic"}},
]


@pytest.mark.parametrize("config", SWITCHING)
def test_scheme_that_switches_with_the_length_is_found_wherever_it_stands(config):
    assert switching_scheme(config) is not None


@pytest.mark.parametrize("config", FIXED)
def test_any_other_scheme_is_left_alone(config):
    assert switching_scheme(config) is None


@pytest.mark.parametrize(
    "kind", ["LlamaConfig", "MistralConfig", "GPT2Config", "Gemma3TextConfig", "Qwen2Config", "MambaConfig"]
)
def test_common_architectures_do_not_switch(kind):
    assert switching_scheme(getattr(transformers, kind)().to_dict()) is None


def test_own_configuration_of_a_model_is_read():
    scaled = transformers.LlamaConfig(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0})
    assert switching_scheme(scaled.to_dict()) == "dynamic"
