"""Any OpenAI-compatible server: vLLM, OpenAI, Gemini, Grok, Ollama, OpenRouter and the like."""

from valueflow.llm.engines.server.settings import ServerModel

__all__ = ["ServerModel"]
