package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/kvm.h, for amd64.
const (
	kvmGetAPIVersion       = 0xAE00
	kvmCreateVM            = 0xAE01
	kvmGetVCPUMmapSize     = 0xAE04
	kvmCreateVCPU          = 0xAE41
	kvmSetUserMemoryRegion = 0x4020AE46
	kvmRun                 = 0xAE80
	kvmSetRegs             = 0x4090AE82
	kvmGetSregs            = 0x8138AE83
	kvmSetSregs            = 0x4138AE84

	kvmAPIVersion = 12
	kvmExitHLT    = 5
	hltOpcode     = 0xF4
)

// runKVMGuest boots a virtual machine whose only instruction is HLT and waits
// for the exit that it causes.
func runKVMGuest(device string) error {
	kvm, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer kvm.Close()
	if v, err := ioctl(int(kvm.Fd()), "KVM_GET_API_VERSION", kvmGetAPIVersion, 0); err != nil || v != kvmAPIVersion {
		return fmt.Errorf("its API version is %d: %w", v, err)
	}
	vm, err := ioctl(int(kvm.Fd()), "KVM_CREATE_VM", kvmCreateVM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(vm)
	mem, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	defer unix.Munmap(mem)
	mem[0] = hltOpcode
	// struct kvm_userspace_memory_region: slot, flags, guest address, size, host address.
	region := [4]uint64{0, 0, uint64(len(mem)), uint64(uintptr(unsafe.Pointer(&mem[0])))}
	if _, err := ioctl(vm, "KVM_SET_USER_MEMORY_REGION", kvmSetUserMemoryRegion, uintptr(unsafe.Pointer(&region))); err != nil {
		return err
	}
	size, err := ioctl(int(kvm.Fd()), "KVM_GET_VCPU_MMAP_SIZE", kvmGetVCPUMmapSize, 0)
	if err != nil {
		return err
	}
	return runVCPU(vm, size)
}

// runVCPU starts one processor in real mode at address 0.
func runVCPU(vm, mmapSize int) error {
	vcpu, err := ioctl(vm, "KVM_CREATE_VCPU", kvmCreateVCPU, 0)
	if err != nil {
		return err
	}
	defer unix.Close(vcpu)
	shared, err := unix.Mmap(vcpu, 0, mmapSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(shared)

	var sregs [312]byte // struct kvm_sregs; cs comes first: base, limit, selector
	if _, err := ioctl(vcpu, "KVM_GET_SREGS", kvmGetSregs, uintptr(unsafe.Pointer(&sregs))); err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(sregs[0:], 0)
	binary.LittleEndian.PutUint16(sregs[12:], 0)
	if _, err := ioctl(vcpu, "KVM_SET_SREGS", kvmSetSregs, uintptr(unsafe.Pointer(&sregs))); err != nil {
		return err
	}
	var regs [18]uint64 // struct kvm_regs; rip is 0
	regs[17] = 2        // rflags: the bit that is always set
	if _, err := ioctl(vcpu, "KVM_SET_REGS", kvmSetRegs, uintptr(unsafe.Pointer(&regs))); err != nil {
		return err
	}
	for { // Go's own preemption signals interrupt the guest
		_, err := ioctl(vcpu, "KVM_RUN", kvmRun, 0)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	if reason := binary.LittleEndian.Uint32(shared[8:]); reason != kvmExitHLT {
		return fmt.Errorf("the guest ended with exit reason %d instead of HLT", reason)
	}
	return nil
}

func ioctl(fd int, name string, request, arg uintptr) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, arg)
	if errno != 0 {
		return 0, fmt.Errorf("%s: %w", name, errno)
	}
	return int(n), nil
}
