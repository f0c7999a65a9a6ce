"""Who asks, and for the account that only reads: whether it may ask that.

MLflow has no account that only reads. With `default_permission = READ` every user may make experiments and
models of its own, and write into them. This function stands where MLflow looks for one that says who asks
(`authorization_function`). MLflow calls it for each request, in both of its web frameworks.
"""

from __future__ import annotations

import os
import re

from flask import Response, make_response, request
from mlflow.server.auth import authenticate_request_basic_auth
from werkzeug.datastructures import Authorization

READER = "MLFLOW_READER_USERNAME"
"""The variable with the name of the account that only reads."""
SAFE = ("GET", "HEAD", "OPTIONS")
VERSION = re.compile(r"^/(ajax-)?api/\d+\.\d+(?=/)")
QUERIES = frozenset(
    {
        "/graphql",  # searches and gets; MLflow's schema has no mutation that writes
        "/mlflow/experiments/search",
        "/mlflow/experiments/search-datasets",
        "/mlflow/runs/search",
        "/mlflow/logged-models/search",
        "/mlflow/datasets/search",
        "/mlflow/registered-models/get-latest-versions",
        "/mlflow/traces/search",
        "/mlflow/traces/batchGetInfos",
        "/mlflow/traces/metrics",
        "/mlflow/traces/calculate-filter-correlation",
        "/mlflow/issues/search",
    }
)
"""What is asked by POST and changes nothing. All else that is no GET is refused, also what is added later."""
CALLS = ("/mlflow/gateway-proxy",)
"""What is asked by GET and makes the server call somebody else."""


def reads(method: str, path: str) -> bool:
    """Whether a request changes nothing."""
    asked = VERSION.sub("", path)
    if asked.startswith(CALLS):
        return False
    return method in SAFE or (method == "POST" and asked in QUERIES)


def authenticate() -> Authorization | Response:
    """Who asks by name and password; a refusal where that is nobody, or the reader wants to write."""
    found = authenticate_request_basic_auth()
    if isinstance(found, Response):
        return found
    # Names are compared as the database compares them, and the reader's is in lower case by `settings`.
    reader = os.environ[READER]
    if str(found.username).lower() == reader and not reads(request.method, request.path):
        return make_response(f"the account {reader} only reads", 403)
    return found
