"""Run before the head's pod ends: stop the launch as Ctrl-C does, and wait until it has closed its ledger.

The pod's grace period bounds the wait. A launch that has ended already is not touched.
"""

import time

from ray.job_submission import JobSubmissionClient

client = JobSubmissionClient("http://127.0.0.1:8265")
running = [
    job.submission_id for job in client.list_jobs() if job.submission_id and not job.status.is_terminal()
]
for one in running:
    client.stop_job(one)
while not all(client.get_job_status(one).is_terminal() for one in running):
    time.sleep(1)
