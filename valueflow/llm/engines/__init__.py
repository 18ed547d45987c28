"""The engines of chat models: vLLM, OpenVINO and transformers in this process, and any server with OpenAI's API."""

from valueflow.llm.engines.openvino import OpenvinoModel
from valueflow.llm.engines.packaged import model_folder
from valueflow.llm.engines.server import ServerModel
from valueflow.llm.engines.transformers import TransformersModel
from valueflow.llm.engines.vllm import VllmModel

__all__ = ["OpenvinoModel", "ServerModel", "TransformersModel", "VllmModel", "model_folder"]
