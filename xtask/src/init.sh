#!/bin/sh
# The first program of Debian's Linux as a guest, where no other initramfs is given: runs the words after `--` on the
# kernel's command line, or a shell, then switches the machine off; where the words fail it is reset instead.
export PATH=/bin HOME=/ TERM=linux
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
hostname linux
modules=/lib/modules/$(uname -r)
if [ -e "$modules/order" ] && grep -qs 0x1af4 /sys/bus/pci/devices/*/vendor; then
    while read -r module; do insmod "$modules/$module"; done <"$modules/order"
    # The console may be one of their devices, which was not there when this began.
    exec </dev/console >/dev/console 2>&1
fi
case $# in
0) setsid cttyhack sh ;;
1) sh -c "$1" ;;
*) "$@" ;;
esac
status=$?
# This waits until the console has sent everything, which switching off does not.
stty opost
if [ $# != 0 ] && [ $status != 0 ]; then
    echo "init: exit status $status"
    reboot -f
fi
poweroff -f
