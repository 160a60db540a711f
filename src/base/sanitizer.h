/* SPDX-License-Identifier: Apache-2.0 */
/* sanitizer: whether a sanitizer of memory is compiled in, as gcc and clang each tell it. It needs system
 * calls of its own, and keeps what was freed. */
#ifndef MAILBOAT_BASE_SANITIZER_H
#define MAILBOAT_BASE_SANITIZER_H

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ADDRESS_SANITIZER 1
#endif
#if __has_feature(thread_sanitizer)
#define WITH_THREAD_SANITIZER 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define WITH_ADDRESS_SANITIZER 1
#endif
#ifdef __SANITIZE_THREAD__
#define WITH_THREAD_SANITIZER 1
#endif

#ifndef WITH_ADDRESS_SANITIZER
#define WITH_ADDRESS_SANITIZER 0
#endif
#ifndef WITH_THREAD_SANITIZER
#define WITH_THREAD_SANITIZER 0
#endif

#endif
