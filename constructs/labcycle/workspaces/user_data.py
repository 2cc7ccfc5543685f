"""What a workspace does when it boots first."""

from __future__ import annotations

from labcycle._templates import render

DATA_DEVICE = "/dev/sdf"
MLFLOW_VERSION = "3.17.2"
JUPYTERLAB_VERSION = "4.6.6"


def user_data(
    *, team: str, member: str, tier: str, region: str, tracking_url_parameter: str, wheels: str | None
) -> str:
    """The script, in bash.

    Parameters
    ----------
    wheels
        `s3://` prefix, with a slash at its end, below which the wheel of labcycle is looked for. Absent: none is installed.
    """
    return render(
        "workspaces/user_data.sh.j2",
        team=team,
        member=member,
        tier=tier,
        region=region,
        tracking_url_parameter=tracking_url_parameter,
        wheels=wheels,
        data_device=DATA_DEVICE,
        mlflow_version=MLFLOW_VERSION,
        jupyterlab_version=JUPYTERLAB_VERSION,
    )
