/* Hosted.work(rounds), through JNI. */
#include <jni.h>

#include "kernel.h"

JNIEXPORT jlong JNICALL Java_Hosted_work(JNIEnv *env, jclass class, jlong rounds)
{
	(void)env, (void)class;
	return (jlong)hosted_work((uint64_t)rounds);
}
