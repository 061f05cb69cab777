/** The three ways of sound that are for sale. */
import { LINK_TRANSCRIPTION } from './link-transcription.ts';
import { AudioPath, type AudioTools } from './path.ts';
import { SPEECH, type Spoken } from './speech.ts';
import { type Recorded, TRANSCRIPTION } from './transcription.ts';

export interface AudioPaths {
  speech: AudioPath<Spoken>;
  transcriptions: AudioPath<Recorded>;
  /** Of videos, by their links. */
  linkTranscriptions: AudioPath<Recorded>;
}

export function audioPaths(tools: AudioTools): AudioPaths {
  return {
    speech: new AudioPath(tools, SPEECH),
    transcriptions: new AudioPath(tools, TRANSCRIPTION),
    linkTranscriptions: new AudioPath(tools, LINK_TRANSCRIPTION),
  };
}
