/*
 * dlsym as a sibling call: RTLD_NEXT and RTLD_DEFAULT are relative to the library that calls,
 * which glibc finds by the return address.  So the real dlsym must be jumped to with the host's
 * own return address on the stack; a C compiler may do that, here it is certain.
 */
#include "base/cet.h"

	.text
	.globl	dlsym
	.type	dlsym, @function
dlsym:
	.cfi_startproc
	ENDBR
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	hooks_before_dlsym
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	jmp	*%rax
	.cfi_endproc
	.size	dlsym, . - dlsym

	.section .note.GNU-stack, "", @progbits
