"""Arguments of a model that do not change what it says, for everything that tells models apart."""

from __future__ import annotations

SAYS_THE_SAME = frozenset(
    (
        "device",
        "device_map",
        "parallelize",
        "max_memory",
        "gpu_memory_utilization",
        "mem_fraction_static",
        "tensor_parallel_size",
        "tp_size",
        "data_parallel_size",
        "dp_size",
        "pipeline_parallel_size",
        "batch_size",
        "max_batch_size",
        "max_num_seqs",
        "chunked_prefill_size",
        "num_concurrent",
        "timeout",
        "max_retries",
        "verify_certificate",
        "ca_cert_path",
        "tokenizer_backend",
        "tokenized_requests",
        "trust_remote_code",
        "distributed_executor_backend",
        "download_dir",
        "disable_log_stats",
    )
)
"""Where a model runs, how much of it at a time, and how it is reached. Two labels, or two keys of a cache, that differ in these
alone would be the same model twice."""
