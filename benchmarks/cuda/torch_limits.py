#!/usr/bin/env python3
"""The ceilings of a GPU as PyTorch reaches them, for the same run as cuda_bench: copy bandwidth, bf16 and fp8 products, and a
V2-Lite layer stack by transformers where it is installed (--model)."""
import sys
import time

import torch


def best(call, n=10, rounds=5):
    call()
    torch.cuda.synchronize()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(n):
            call()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / n)
    return min(times)


def main():
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}")
    a = torch.randn(1 << 30, device="cuda", dtype=torch.bfloat16)
    b = torch.empty_like(a)
    print(f"  copy               {2 * a.nbytes / best(lambda: b.copy_(a)) / 1e9:8.0f} GB/s read and written")
    del a, b
    k = 8192
    x = torch.randn(k, k, device="cuda", dtype=torch.bfloat16)
    w = torch.randn(k, k, device="cuda", dtype=torch.bfloat16)
    print(f"  bf16 8192^3        {2 * k**3 / best(lambda: x @ w.T) / 1e12:8.0f} TFLOP/s")
    for m, n, k in ((8192, 8192, 8192), (4096, 4096, 7168), (4096, 7168, 2048)):
        x = torch.randn(m, k, device="cuda").to(torch.float8_e4m3fn)
        w = torch.randn(n, k, device="cuda").to(torch.float8_e4m3fn)
        one = torch.ones((), device="cuda")
        rate = 2 * m * n * k / best(lambda: torch._scaled_mm(x, w.T, one, one, out_dtype=torch.bfloat16)) / 1e12
        print(f"  fp8 {m} x {n} x {k}, one scale {rate:8.0f} TFLOP/s")
    if "--model" in sys.argv:
        model()


def model():
    """A V2-Lite with random weights: tokens/s of prefill 4096 and of greedy decode, eager."""
    from transformers import DeepseekV2Config, DeepseekV2ForCausalLM

    config = DeepseekV2Config(
        vocab_size=102400, hidden_size=2048, intermediate_size=10944, moe_intermediate_size=1408, num_hidden_layers=27,
        num_attention_heads=16, num_key_value_heads=16, n_shared_experts=2, n_routed_experts=64, routed_scaling_factor=1.0,
        kv_lora_rank=512, q_lora_rank=None, qk_rope_head_dim=64, v_head_dim=128, qk_nope_head_dim=128, topk_method="greedy",
        n_group=1, topk_group=1, num_experts_per_tok=6, first_k_dense_replace=1, norm_topk_prob=False)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        net = DeepseekV2ForCausalLM(config).eval()
    ids = torch.randint(0, 102400, (1, 4096), device="cuda")
    with torch.inference_mode():
        prefill = best(lambda: net(ids, logits_to_keep=1), n=1, rounds=4)
        print(f"  transformers, V2-Lite geometry: prefill 4096 {prefill * 1e3:.1f} ms, {4096 / prefill:.0f} tokens/s")
        out = net(ids[:, :1024], use_cache=True, logits_to_keep=1)
        cache, token = out.past_key_values, ids[:, :1]

        def step():
            net(token, past_key_values=cache, use_cache=True)

        decode = best(step, n=8, rounds=4)
        print(f"  transformers, V2-Lite geometry: decode after 1024 tokens {decode * 1e3:.2f} ms, {1 / decode:.0f} tokens/s")


main()
