from __future__ import annotations

from django.apps import AppConfig


class RpcConfig(AppConfig):
    name = "hub.rpc"
