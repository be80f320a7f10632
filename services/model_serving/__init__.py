"""Runs devices on images: takes jobs of one pool, streams their stacks from the archive, infers, keeps results.

Reads ``job.dispatched`` of its pool, ``job.canceled``, the registry, manifests and stack descriptions, and pixels by
WADO-RS. Emits ``job.started``, ``job.progressed``, ``job.returned``, ``job.inferred`` and ``job.failed``, and tells the
router how many slots it has and what it cannot do now. Serves ``udc.serving.v1``; no call of it infers on a patient's
images.
"""
