# Against a Debian kernel in qemu: make check-vm.
check_PROGRAMS += tests/vm/file-model
tests_vm_file_model_SOURCES = %D%/file-model.c
