/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the module's object files expect of the kernel, so that they can be
 * linked into a program: ftrace's hook and the return thunk do nothing, an
 * indirect thunk jumps, and %gs points to a stack protector's canary.
 */
	.text
	.globl __fentry__, __x86_return_thunk
__fentry__:
__x86_return_thunk:
	ret

	.macro thunk reg
	.globl __x86_indirect_thunk_\reg
__x86_indirect_thunk_\reg:
	jmp *%\reg
	.endm
	.irp reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, \
		r8, r9, r10, r11, r12, r13, r14, r15
	thunk \reg
	.endr

	/* arch_prctl(ARCH_SET_GS, canary) before main() */
set_gs:
	mov $158, %eax
	mov $0x1001, %edi
	lea canary(%rip), %rsi
	syscall
	ret

	.section .init_array, "aw"
	.quad set_gs

	.data
	.balign 64
	.globl __stack_chk_guard
__stack_chk_guard:
canary:
	.fill 8, 8, 0x5a17ed00c0ffee00

	.section .note.GNU-stack, "", @progbits
