#ifndef GE_THREAD_INT_H
#define GE_THREAD_INT_H

#include <pthread.h>

/* ge_pthread_start: pthread_create with every signal blocked. */
int ge_pthread_start(pthread_t *t, void *(*fn)(void *), void *arg);

#endif
