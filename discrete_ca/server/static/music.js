// Voices through WebAudio: a soft tone a note, a step a sixteenth.

let context;
let playing = null;

/** Play a design; `onStep` is told the step that sounds, and null at the end. */
export function play(grid, design, onStep, beatsAMinute = 84) {
  stop();
  context ||= new AudioContext();
  context.resume();
  const step = 60 / beatsAMinute / 4;
  const begun = context.currentTime + 0.06;
  const out = new GainNode(context, { gain: 0.9 / grid.voices });
  out.connect(context.destination);
  for (let voice = 0; voice < grid.voices; voice++) {
    let t = 0;
    while (t < grid.columns) {
      const k = design[voice * grid.columns + t];
      let length = 1;
      while (t + length < grid.columns && design[voice * grid.columns + t + length] === k) length++;
      const pitch = grid.pitches[k];
      if (pitch >= 0) tone(out, 440 * 2 ** ((pitch - 69) / 12), begun + t * step, length * step);
      t += length;
    }
  }
  playing = { out, timer: setInterval(() => {
    const at = Math.floor((context.currentTime - begun) / step);
    if (at >= grid.columns) stop();
    else if (at >= 0) onStep(at);
  }, 30), onStep };
}

function tone(out, frequency, begin, seconds) {
  const oscillator = new OscillatorNode(context, { type: "triangle", frequency });
  const gain = new GainNode(context, { gain: 0 });
  gain.gain.setValueAtTime(0, begin);
  gain.gain.linearRampToValueAtTime(0.6, begin + 0.02);
  gain.gain.setTargetAtTime(0.35, begin + 0.03, 0.25);
  gain.gain.setTargetAtTime(0, begin + seconds - 0.04, 0.03);
  oscillator.connect(gain).connect(out);
  oscillator.start(begin);
  oscillator.stop(begin + seconds + 0.15);
}

export function stop() {
  if (!playing) return;
  clearInterval(playing.timer);
  playing.out.disconnect();
  const { onStep } = playing;
  playing = null;
  onStep(null);
}

export const isPlaying = () => playing !== null;
