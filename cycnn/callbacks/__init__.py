"""What happens between the steps of training, with Keras's names.

`base`      Callback, History, LambdaCallback, and the list that tells them what happens
`stopping`  EarlyStopping, TerminateOnNaN
`rates`     LearningRateScheduler, ReduceLROnPlateau
`files`     ModelCheckpoint, CSVLogger, TensorBoard
`backup`    BackupAndRestore
"""

from .backup import BackupAndRestore
from .base import Callback, CallbackList, History, LambdaCallback, Logs, check
from .files import CSVLogger, ModelCheckpoint, TensorBoard
from .rates import LearningRateScheduler, ReduceLROnPlateau
from .stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
    "check",
]
