# SPDX-License-Identifier: Apache-2.0
"""The kernel's NBD client: how nbd-client is asked, and, where the kernel has it, a device through it."""

from __future__ import annotations

from pathlib import Path

import pytest

from breezeblock.brick import kernel_nbd
from breezeblock.model.observation import Found
from tests.lab.data_path import HERE, MIB, Ground, as_given, identity


def test_nbd_client_is_told_the_socket_or_the_address_and_the_export() -> None:
    unix = kernel_nbd._client("nbd+unix:///volume-1.bz2?socket=/run/a")
    assert list(unix) == ["nbd-client", "-unix", "/run/a", "-N", "volume-1.bz2", "-b", "512"]
    tcp = kernel_nbd._client("nbd://[::1]:20000/volume-1")
    assert list(tcp)[:5] == ["nbd-client", "::1", "20000", "-N", "volume-1"]
    tls = kernel_nbd._client("nbds://h:1/v?tls-certificates=/etc/tls&tls-hostname=storage.example")
    assert "/etc/tls/client-key.pem" in tls
    assert tls[list(tls).index("-tlshostname") + 1] == "storage.example"


def test_a_record_of_another_boot_connects_nothing(tmp_path: Path) -> None:
    assert kernel_nbd.observe("volume-1", "nbd://h/v", tmp_path).found is Found.NOT_DONE
    kernel_nbd.disconnect("volume-1", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.lab
@pytest.mark.requires("kernel-nbd", "nbd-client", "qemu-storage-daemon", "qemu-img", "nbdinfo", "root")
def test_a_device_of_the_kernels_own_client(ground: Ground) -> None:
    target, connector = ground.nbd(), ground.nbd_connector()
    export = ground.exported(target, ground.image("a", "qcow2"))
    info = as_given(target.admit(export, HERE, ground.ctx))
    device = connector.connect_volume(info, identity(export))
    assert (device.how, device.size) == ("kernel-nbd", 64 * MIB)
    assert connector.connect_volume(info, identity(export)) == device
    connector.disconnect_volume(info, device)
    assert connector.observe(info).found is Found.NOT_DONE
    target.unexport(export, ground.ctx)
