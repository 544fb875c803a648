/** The thread in which a large configuration file is read: it takes the text and answers what was parsed. */
import { parentPort, workerData } from 'node:worker_threads'
import { parseConfiguration } from './text.ts'

parentPort!.postMessage(parseConfiguration(workerData as string))
