/** How Node runs our programs. */

/** A quiet log; and for the long-lived ones a collector without threads of its own: the heaps are small, and waking four
 *  threads for each of many short collections costs more than they bring (measured: about a tenth of all CPU under load
 *  on two cores). */
export const programFlags: readonly string[] = ['--disable-warning=ExperimentalWarning', '--single-threaded-gc']
