"""Write docs/keras.md: for every public name of Keras 3.15, whether cycnn has it, within which limits, or why not.

    python docs/keras_support.py             # writes the table
    python docs/keras_support.py --check     # says whether it is as it would be written

What is supported is read from cycnn itself. Keras need not be installed: its names are kept here as data.
"""

import importlib
import inspect
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("keras.md")

# All public names of Keras 3.15 but its submodules: dir(keras.layers) and so on.
KERAS = {
    "layers": """
        Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
        AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add
        AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D
        AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization Bidirectional
        CategoryEncoding CenterCrop Concatenate ContrastLimitedAdaptiveHistogramEqualization Conv1D
        Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D
        Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D
        Convolution3DTranspose Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D
        Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten FlaxLayer GRU GRUCell
        GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
        GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D
        GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention
        HashedCrossing Hashing Identity Input InputLayer InputSpec IntegerLookup JaxLayer LSTM LSTMCell
        Lambda Layer LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D
        MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention
        Multiply Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness
        RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform
        RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective
        RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation
        RandomZoom ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram
        SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN
        SimpleRNNCell Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D
        SpectralNormalization StackedRNNCells StringLookup Subtract TFSMLayer TextVectorization
        TimeDistributed TorchModuleWrapper UnitNormalization UpSampling1D UpSampling2D UpSampling3D Wrapper
        ZeroPadding1D ZeroPadding2D ZeroPadding3D add average concatenate deserialize dot maximum minimum
        multiply serialize subtract
    """,
    "activations": """
        celu deserialize elu exponential gelu get glu hard_shrink hard_sigmoid hard_silu hard_swish
        hard_tanh leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu serialize sigmoid silu
        soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh
        tanh_shrink threshold
    """,
    "losses": """
        BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy
        CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber
        KLDivergence LogCosh Loss MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError
        MeanSquaredLogarithmicError Poisson SparseCategoricalCrossentropy SquaredHinge Tversky
        binary_crossentropy binary_focal_crossentropy categorical_crossentropy
        categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge circle
        cosine_similarity ctc deserialize dice get hinge huber kl_divergence log_cosh mean_absolute_error
        mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error poisson serialize
        sparse_categorical_crossentropy squared_hinge tversky
    """,
    "metrics": """
        AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy
        CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives
        FalsePositives Hinge IoU KLDivergence LogCoshError Mean MeanAbsoluteError
        MeanAbsolutePercentageError MeanIoU MeanMetricWrapper MeanSquaredError MeanSquaredLogarithmicError
        Metric OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision PrecisionAtRecall R2Score Recall
        RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy
        SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity SquaredHinge
        Sum TopKCategoricalAccuracy TrueNegatives TruePositives binary_accuracy binary_crossentropy
        binary_focal_crossentropy categorical_accuracy categorical_crossentropy
        categorical_focal_crossentropy categorical_hinge concordance_correlation deserialize get hinge huber
        kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error
        mean_squared_logarithmic_error pearson_correlation poisson serialize sparse_categorical_accuracy
        sparse_categorical_crossentropy sparse_top_k_categorical_accuracy squared_hinge
        top_k_categorical_accuracy
    """,
    "optimizers": """
        Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer MultiOptimizer Muon
        Nadam Optimizer OptimizerMap RMSprop SGD ScheduleFreeAdamW deserialize get serialize
    """,
    "optimizers.schedules": """
        CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay LearningRateSchedule
        PiecewiseConstantDecay PolynomialDecay deserialize serialize
    """,
    "initializers": """
        Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer Initializer
        LecunNormal LecunUniform Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT
        STFTInitializer TruncatedNormal VarianceScaling Zeros constant deserialize get glorot_normal
        glorot_uniform he_normal he_uniform identity lecun_normal lecun_uniform ones orthogonal
        random_normal random_uniform serialize stft truncated_normal variance_scaling zeros
    """,
    "regularizers": """
        L1 L1L2 L2 OrthogonalRegularizer Regularizer deserialize get l1 l1_l2 l2 orthogonal_regularizer
        serialize
    """,
    "constraints": """
        Constraint MaxNorm MinMaxNorm NonNeg UnitNorm deserialize get max_norm min_max_norm non_neg
        serialize unit_norm
    """,
    "callbacks": """
        BackupAndRestore CSVLogger Callback CallbackList EarlyStopping History LambdaCallback
        LearningRateScheduler ModelCheckpoint OrbaxCheckpoint ProgbarLogger ReduceLROnPlateau RemoteMonitor
        SwapEMAWeights TensorBoard TerminateOnNaN
    """,
}

# What holds for whole groups. Rules and examples that concern a single name are in LIMITS.
GENERAL = [
    ("Back end", "NumPy arrays in and out; kernels in Cython. There is no TensorFlow, JAX or PyTorch below."),
    ("`data_format`", 'channels last only; "channels_first" is refused by the constructor'),
    ("Shapes", "all extents but the batch are known when a layer is built; None for height or width is refused"),
    ("`dtype`", "float32 and float64; no half precision, no mixed precision policies, no quantization"),
    ("`Model`", "drawn by calling layers, or `Sequential`; a class of one's own with `call` cannot be differentiated"),
    (
        "Training loops",
        "`compile` and `fit`; no `train_step` of one's own, no `Model.losses`, `Model.metrics`, `export`",
    ),
    ("`learning_rate`", "of an optimizer: a float, which is assigned to, or a schedule"),
    ("Symbolic tensors", "`+`, `-`, `*` with tensors and numbers, `/` by numbers; else layers: no `ops` on them"),
    (
        "Modules left out",
        "`applications`, `backend`, `mixed_precision`, `random`: no downloads, one back end, one type",
    ),
    ("Layers of one's own", "`layers.PythonLayer`: `forward` and `backward` on NumPy arrays, for there is no autodiff"),
    ("Files", "safetensors; `.keras` and `.h5` are not read, weights are exchanged by `get_weights`, `set_weights`"),
    ("Devices", "one process, threads of one machine; no distribution strategies"),
]

# Limits of what is supported. Kept by hand.
LIMITS = {
    "layers.Layer": "is subclassed within cycnn; layers of one's own derive from `layers.PythonLayer`",
    "layers.Input": "no sparse, ragged, optional or given tensors; no None but for the batch",
    "layers.InputLayer": "of `shape`; otherwise as `Input`",
    "layers.BatchNormalization": "over all axes but the last; no `renorm`, no `synchronized`",
    "layers.Activation": "the functions of `activations`; others have no derivative here",
    "layers.LayerNormalization": "over the last axis or axes",
    "callbacks.ModelCheckpoint": "saves cycnn's own files",
    "callbacks.BackupAndRestore": "a run goes on with the same bits",
    "callbacks.TensorBoard": "logs and histograms; needs tensorboardX; no graph, images or profile",
    "losses.Loss": "`reduction` is a mean or a sum; losses of one's own need a native step, for there is no autodiff",
    "losses.Dice": "`axis` is None or all axes of an image",
    "losses.Tversky": "`axis` is None or all axes of an image",
    "metrics.Metric": "no `add_variable`: a subclass keeps its sums as attributes",
    "metrics.SparseCategoricalCrossentropy": "the mean is over the rows that are not of `ignore_class`",
    "optimizers.Optimizer": "no `loss_scale_factor`, for there is no half precision",
}

IMAGES = "for sequences, text or tables: cycnn is for images"
VOLUMES = "for volumes: cycnn is for images and sequences"
MISSING = "not written"
FOREIGN = "wraps another framework"
FUNCTION = "the function of the class: use the class"

# Why a name is left out: the reason, and beginnings or whole names. The first that fits is taken.
LEFT_OUT = {
    "layers": [
        (FOREIGN, "FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper"),
        ("no autodiff: use `layers.PythonLayer`", "Lambda Wrapper InputSpec Pipeline SpectralNormalization"),
        (
            "recurrent, " + IMAGES,
            "ConvLSTM GRU LSTM RNN SimpleRNN StackedRNNCells Bidirectional TimeDistributed Masking",
        ),
        (
            IMAGES,
            "Attention AdditiveAttention MultiHeadAttention GroupQueryAttention Embedding ReversibleEmbedding "
            "EinsumDense TextVectorization StringLookup IntegerLookup Hashing HashedCrossing CategoryEncoding "
            "Discretization MelSpectrogram STFTSpectrogram",
        ),
        ("for bounding boxes", "MaxNumBoundingBoxes"),
    ],
    "activations": [(MISSING, "glu sparsemax")],
    "losses": [("for sequences", "CTC ctc"), (MISSING, "circle categorical_generalized")],
    "metrics": [],
    "optimizers": [
        ("no half precision, no mixed precision", "LossScaleOptimizer"),
    ],
    "optimizers.schedules": [],
    "initializers": [
        ("for sound", "STFT stft"),
        (MISSING, "identity orthogonal"),
    ],
    "regularizers": [(MISSING, "orthogonal")],
    "constraints": [],
    "callbacks": [
        ("for JAX", "OrbaxCheckpoint"),
        ("the progress bar is `verbose`", "ProgbarLogger"),
        ("no network access", "RemoteMonitor"),
        ("use the optimizer's `use_ema`", "SwapEMAWeights"),
    ],
}


def has(group, name):
    """Return how cycnn has a public name of Keras: "yes", "by name" (a str that layers and `compile` take) or ""."""
    try:
        module = importlib.import_module(f"cycnn.{group}")
    except ModuleNotFoundError:
        return ""
    public = getattr(module, "__all__", None)
    value = getattr(module, name, None)
    if callable(value) and (name in public if public is not None else not name.startswith("_")):
        return "yes"
    if not name[0].islower() or name in ("get", "serialize", "deserialize") or not hasattr(module, "get"):
        return ""
    try:
        module.get(name)
    except (TypeError, ValueError):
        return ""
    return "by name"


def reason(group, name):
    """Return why a name is left out."""
    if name in ("get", "serialize", "deserialize"):
        return "not public here"
    for why, beginnings in LEFT_OUT[group]:
        if any(name.startswith(beginning) for beginning in beginnings.split()):
            return why
    if group == "layers":
        return VOLUMES if "3D" in name else MISSING
    return FUNCTION if name[0].islower() else MISSING


def refused_constraints(layer):
    """Return what the constructor of a layer says of the constraints that it does not take."""
    parameters = inspect.signature(layer).parameters.values()
    given = {p.name: 2 for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
    refused = []
    names = dict.fromkeys([*(p.name for p in parameters), *getattr(layer, "arguments", ())])
    for name in [name for name in names if name.endswith("_constraint")]:
        try:
            layer(**given, **{name: "non_neg"})
        except (TypeError, ValueError):
            refused.append(f"`{name}`")
    return "no " + ", ".join(refused) if refused else ""


def row(group, name):
    """Return a row of the table."""
    how = has(group, name)
    if not how:
        return f"| `{name}` | - | {reason(group, name)} |"
    limits = LIMITS.get(f"{group}.{name}", "")
    by_name = f'as the str "{name}"' if how == "by name" else ""
    value = getattr(importlib.import_module(f"cycnn.{group}"), name, None)
    refused = refused_constraints(value) if group == "layers" and isinstance(value, type) else ""
    return f"| `{name}` | yes | {'; '.join(filter(None, (by_name, limits, refused)))} |".replace("|  |", "| |")


def own(group):
    """Return the names that cycnn has beyond Keras's."""
    module = importlib.import_module(f"cycnn.{group}")
    public = [name for name in getattr(module, "__all__", []) if isinstance(getattr(module, name), type)]
    return sorted(set(public) - set(KERAS[group].split()) - {"Logs", "Variable"})


def page():
    """Return docs/keras.md."""
    lines = [
        "# What there is of Keras 3",
        "",
        "Written by [keras_support.py](keras_support.py) from cycnn itself, for the public names of Keras 3.15.",
        "Names, arguments, defaults and formulas are Keras's; an argument that cannot be followed raises an error.",
        "",
        "| everywhere | |",
        "|---|---|",
        *(f"| {what} | {limit} |" for what, limit in GENERAL),
        "",
        "| group | supported | of |",
        "|---|---|---|",
    ]
    for group, names in KERAS.items():
        supported = sum(bool(has(group, name)) for name in names.split())
        lines.append(f"| [`{group}`](#{group.replace('.', '')}) | {supported} | {len(names.split())} |")
    for group, names in KERAS.items():
        lines += ["", f"## {group}", "", "| name | supported | limits, or why not |", "|---|---|---|"]
        lines += [row(group, name) for name in names.split()]
        if beyond := own(group):
            lines += ["", "Beyond Keras: " + ", ".join(f"`{name}`" for name in beyond) + "."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
