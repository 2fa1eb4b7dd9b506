"""Prints what the Python package genai-prices knows of the providers below, for the program in this folder."""

import json
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal

from genai_prices.data import providers
from genai_prices.types import ModelPrice, StartDateConstraint, TimeOfDateConstraint

IDS = """openai anthropic google mistral groq deepseek x-ai cohere openrouter azure together fireworks aws moonshotai""".split()


def plain(v):
    """Is a value as the package's own JSON has it."""
    if isinstance(v, Decimal):
        return format(v, "f")
    if isinstance(v, (date, time)):
        return v.isoformat().replace("+00:00", "Z")
    if isinstance(v, list):
        return [plain(e) for e in v]
    if isinstance(v, ModelPrice):
        return {k: plain(p) for k, p in vars(v).items() if p is not None and k.endswith(("_mtok", "_hours", "_mchars"))}
    if is_dataclass(v):
        out = {f.name.rstrip("_"): plain(getattr(v, f.name)) for f in fields(v)}
        if isinstance(v, StartDateConstraint):
            out["type"] = "start_date"
        if isinstance(v, TimeOfDateConstraint):
            out["type"] = "time_of_date"
        return out
    return v


def model(m):
    return {"id": m.id, "match": plain(m.match), "prices": plain(m.prices), "context_window": m.context_window}


known = {p.id: p for p in providers}
print(json.dumps([
    {"id": i, "fallback_model_providers": known[i].fallback_model_providers or [], "models": [model(m) for m in known[i].models]}
    for i in IDS
]))
