/*
 * syscall(2), in which libseccomp and others install a filter.  What is called may return twice, or
 * on another stack (clone), so it is jumped to; only the two calls that can install a filter
 * are looked at first, by hooks_before_syscall(), which says where to jump.
 */
#include <sys/syscall.h>

#include "base/cet.h"

	.text
	.globl	syscall
	.type	syscall, @function
syscall:
	.cfi_startproc
	ENDBR
	movq	hooks_real_syscall(%rip), %rax
	testq	%rax, %rax
	jz	.Llook
	cmpq	$SYS_seccomp, %rdi
	je	.Llook
	cmpq	$SYS_prctl, %rdi
	je	.Llook
	jmp	*%rax
.Llook:
	.irp	register, rdi, rsi, rdx, rcx, r8, r9
	pushq	%\register
	.cfi_adjust_cfa_offset 8
	.endr
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	hooks_before_syscall
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	.irp	register, r9, r8, rcx, rdx, rsi, rdi
	popq	%\register
	.cfi_adjust_cfa_offset -8
	.endr
	jmp	*%rax
	.cfi_endproc
	.size	syscall, . - syscall

	.section .note.GNU-stack, "", @progbits
