"""The study router: finds studies in the archives, decides which device may see them, owns every job's state.

Reads the archives' change feeds and metadata, ``job.started``, ``job.progressed``, ``job.returned``, ``job.inferred``,
``job.failed``, ``result.archived`` and ``result.failed``. Emits ``study.*``, ``job.dispatched``, ``job.canceled``,
``job.ended``, ``result.accepted`` and ``device.*``. Serves ``udc.router.v1``.
"""
