# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the CPU and GPU devices that this process can see.

Runs on Python 2.7 (the tutorial's TensorFlow 1.12 image) and on 3.x, so it is written in what both share.
It asks TensorFlow where that imports, else nvidia-smi, else the environment and /dev.

Which of a node's devices a worker gets may change with each run, and the output of a pipeline should not:
only counts, names and numbers counted from 0 are printed, never a UUID or a node's own device number.
"""

import glob
import multiprocessing
import os
import platform
import subprocess

NO_DEVICES = ("", "none", "void", "-1")
UNNAMED_GPU = "GPU without a driver's tools"
SIMULATED_GPU = "simulated GPU: a name to schedule by, it computes nothing"


def tensorflow_devices():
    """(how, CPU names, GPU names) as TensorFlow 1.x or 2.x sees them; None where it does not import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow
        from tensorflow.python.client import device_lib
    except ImportError:
        return None
    devices = device_lib.list_local_devices()
    cpus = [cpu_name() for device in devices if device.device_type == "CPU"]
    gpus = [tensorflow_name(device) for device in devices if device.device_type == "GPU"]
    return "TensorFlow %s" % tensorflow.__version__, cpus, gpus


def tensorflow_name(device):
    """The model's name out of "device: 0, name: Tesla V100, pci bus id: ..., compute capability: 7.0"."""
    for part in device.physical_device_desc.split(","):
        key, _colon, value = part.strip().partition(": ")
        if key == "name":
            return value
    return "GPU"


def driver_gpus():
    """Names of the GPUs that nvidia-smi lists; None where there is no nvidia-smi or it fails."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output = process.communicate()[0].decode("utf-8", "replace")
    except OSError:
        return None
    if process.returncode != 0:
        return None
    return [line.strip() for line in output.splitlines() if line.strip()]


def environment_gpus():
    """One name for each GPU that the environment promises, or that has a node under /dev."""
    visible = os.environ.get("NVIDIA_VISIBLE_DEVICES")
    if visible is None or visible == "all":
        return [UNNAMED_GPU] * len(glob.glob("/dev/nvidia[0-9]*"))
    return [UNNAMED_GPU for name in visible.split(",") if name not in NO_DEVICES]


def simulated_gpus():
    """The simulated devices of a lab without GPUs, told by their names in NVIDIA_VISIBLE_DEVICES."""
    visible = os.environ.get("NVIDIA_VISIBLE_DEVICES", "").split(",")
    return [SIMULATED_GPU for name in visible if name.startswith("simulated")]


def cpu_name():
    """Architecture and number of cores of this machine."""
    return "%s, %d cores" % (platform.machine(), multiprocessing.cpu_count())


def print_devices(kind, names):
    """Print how many devices of a kind there are, then one line for each."""
    print("%s devices: %d" % (kind, len(names)))
    for number, name in enumerate(names):
        print("  /device:%s:%d  %s" % (kind, number, name))


def main():
    """Print how the devices were found, then the CPUs, then the GPUs."""
    found = tensorflow_devices()
    if found is None:
        gpus = driver_gpus()
        if gpus is not None:
            found = ("nvidia-smi (no TensorFlow in this image)", [cpu_name()], gpus)
        else:
            found = ("the environment (no TensorFlow, no nvidia-smi)", [cpu_name()], environment_gpus())
    how, cpus, gpus = found
    simulated = simulated_gpus()
    print("Devices as seen by %s" % how)
    print_devices("CPU", cpus)
    # A simulated device hides the real ones: the lab said that this worker gets nothing else.
    print_devices("GPU", simulated or gpus)


if __name__ == "__main__":
    main()
