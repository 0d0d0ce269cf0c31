"""What one sees in each figure and what it means, for reports and documentation."""

from __future__ import annotations

CAPTIONS: dict[str, str] = {
    "class_distance": (
        "Squared distance D of the class centroids in feature space against temperature, one panel a pair (P, N). "
        "Dashed grey: infinite width, the prior's value at every temperature. Lines: theory at finite width. "
        "Points: posterior sampling. Where D lies above the dashed line the hidden layer has learned to pull the "
        "classes apart; T* (triangle) is where theory does so most: colder, it fits more and separates less. Whether "
        "the points fall below T* as well is for them to say."
    ),
    "gyration_radii": (
        "Squared gyration radius of each class in feature space against temperature: the size of a class, beside "
        "the distance of the two. Solid: y = +1, dashed: y = -1."
    ),
    "weights": (
        "Statistics of a single hidden unit against temperature: second moment of its readout weight, growth of "
        "its hidden weights over the prior, and the covariance of the two along the signal direction u. All three "
        "stay at the dashed line where nothing is learned."
    ),
    "signal_variance": (
        "Second moment of the hidden weights along the signal direction u = B a/|B a|, the direction in which "
        "the data pull the weights. Above its prior value 1/lambda0 the hidden layer has turned towards the signal."
    ),
    "histograms": (
        "Distributions over the posterior of a unit's readout weight v and of its hidden weights along the signal "
        "direction u, in units of the prior's standard deviation, beside Gaussians of mean zero with the second "
        "moments of the theories; dashed grey: the prior. On the logarithmic scale a Gaussian is a parabola: wider "
        "than the dashed one where weights have grown, and left by the tails where units are not Gaussian."
    ),
    "test_error": (
        "Test error against temperature, averaged over the posterior (solid), and the squared bias of the mean "
        "predictor (dotted). The difference is the predictive variance."
    ),
    "heat_map": (
        "Class distance relative to the prior over temperature and load alpha = P/N, in percent, from theory. The "
        "line is T*(alpha), the temperature of the largest distance. Columns keep one of N and P fixed, alpha "
        "runs over the other."
    ),
    "parity": (
        "Sampled against theoretical values of every observable at every sampled point, and below them z, the "
        "difference in Monte-Carlo standard errors. Points on the diagonal and within the grey band agree; the "
        "scale of z is linear up to 4 and logarithmic beyond."
    ),
    "finite_size": (
        "Relative deviation of the theories from sampling against 1/N at fixed load alpha = P/N, with a straight line "
        "fitted by the error bars and its limit at 1/N = 0 (open). What goes to zero there is a correction of finite "
        "size; what stays is an error of the theory on these data."
    ),
    "training": (
        "Class distance and training error against time under gradient descent from the prior. The band is the "
        "standard deviation over initialisations (and training-set draws), the dashed line the prior's D. D turns "
        "at the triangle while the training error goes on falling: the counterpart in time of the maximum at T*."
    ),
    "bridge": (
        "Class distance against training error, parametrically: temperature runs along the equilibrium curves "
        "(theory and sampling), time along the training curves. Curves that lie together say that equilibrium at a "
        "temperature and training up to a time see the same geometry."
    ),
    "inversion": (
        "Training error at which D turns: at the temperature T* in equilibrium and at the time t* in training, "
        "over data sets, widths and loads."
    ),
}


def caption_of(file_stem: str) -> str:
    """Caption of a figure file, from the figure's name at the start of the file name."""
    return CAPTIONS.get(file_stem.split("__")[0], "")
