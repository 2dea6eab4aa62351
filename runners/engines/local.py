"""One event loop, a pool per shard, all shards of all models of a stage at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from providers.instance import Instance
from sharding.plan import Plan, Shard

from ..bitmap import Bitmap
from ..dispatch import NoUsableInstance
from ..pool import Deliver, Pool, Post, Work
from ..queue import ShardQueue
from ..shutdown import Shutdown


@dataclass(frozen=True, slots=True)
class LocalEngine:
    instances: Mapping[str, Instance]
    work: Work
    deliver: Deliver
    shutdown: Shutdown
    done: Bitmap

    async def execute(self, plan: Plan, stage: int) -> list[NoUsableInstance]:
        """Run a stage to its end, or to the end of the grace once the run drains; returns the models that ran out of instances.

        Cancelled samples leave no record: they stay pending.
        """
        pools = [self._pool(shard, stage) for shard in plan.stages[stage]]
        async with self.shutdown.bounded(), asyncio.TaskGroup() as group:
            for pool in pools:
                group.create_task(pool.run(plan, self.shutdown), name=f"pool {pool.post.instance}")
        lost = {str(pool.lost): pool.lost for pool in pools if pool.lost}
        return list(lost.values())

    def _pool(self, shard: Shard, stage: int) -> Pool:
        post = Post(shard.instance, stage, shard.start_after_s, self.instances[shard.instance].workers)
        return Pool(post, ShardQueue(shard.ordinals, self.done), self.work, self.deliver)
