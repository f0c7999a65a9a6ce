"""Any transform in front of an ordinary `torch.optim` optimizer, in the user's own loop.

(Not `attach`: a module of the function's name would take its place in the package as soon as it is imported.)
"""

from trainers.attachment.handle import Attachment, attach
from trainers.attachment.moments import COUNTS, MOMENTS
from trainers.attachment.saved import KEY

__all__ = ["COUNTS", "KEY", "MOMENTS", "Attachment", "attach"]
