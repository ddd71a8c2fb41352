"""Connection pools: how many connections one engine node keeps to the database."""

from __future__ import annotations

import math
from typing import Final

# Requests of people and workers that need a connection while every job thread holds one.
CONNECTIONS_FOR_REQUESTS: Final = 10
POOL_FLOOR: Final = 20
# Beyond this more connections make a database slower, not faster; the database plans with it.
POOL_CEILING: Final = 30


def engine_pool_size(*, job_threads: int, database_cores: int, engine_nodes: int) -> int:
    """Connections in the pool of one engine node.

    Enough for every job thread and the requests beside them, and the node's share of what the
    database can work on at a time (``2 * cores + 1``), from 20 to 30.

    Raises:
        ValueError: If the job threads alone need more than the largest pool.
    """
    wanted = max(job_threads + CONNECTIONS_FOR_REQUESTS, math.ceil((2 * database_cores + 1) / engine_nodes))
    if job_threads + CONNECTIONS_FOR_REQUESTS > POOL_CEILING:
        message = (
            f"{job_threads} job threads need a pool of {job_threads + CONNECTIONS_FOR_REQUESTS}, "
            f"more than the {POOL_CEILING} the database plans with for one node"
        )
        raise ValueError(message)
    return min(max(wanted, POOL_FLOOR), POOL_CEILING)
