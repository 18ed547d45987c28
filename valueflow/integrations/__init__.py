"""The ValueFlow scale inside other harnesses; `valueflow.integrations.inspect` needs the extra `inspect`."""

from valueflow.integrations.lm_eval import lm_eval_tasks

__all__ = ["lm_eval_tasks"]
