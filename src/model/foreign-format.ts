/** Bytes of a file's head that suffice to tell formats apart. */
export const FORMAT_HEAD_BYTES = 512;

/**
 * What a file that is offered as an ONNX model is instead, and what to do about it; undefined when its first bytes
 * speak for no other format. None of these can begin an ONNX model, whose first bytes are a field's
 * tag and value.
 *
 * @param head the first {@link FORMAT_HEAD_BYTES} bytes, fewer when the file is shorter
 */
export function foreignFormat(head: Uint8Array): string | undefined {
  const latin = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1');
  const start = latin.replace(/^(?:\u00ef\u00bb\u00bf)?\s+/u, '');
  if (head.length === 0) {
    return 'an empty file';
  }
  if (start.startsWith('version https://git-lfs')) {
    return "a Git LFS pointer; run 'git lfs pull' to get the file it stands for";
  }
  if (/^<(?:!doctype|html|\?xml|head|body)/iu.test(start)) {
    return 'an HTML or XML page; was the download an error page?';
  }
  // Flatbuffers begin with a small offset; without its zeros the word could be a model's producer name.
  const flatbuffer = latin.startsWith('\0\0\0', 1) ? latin.slice(4, 8) : '';
  if (flatbuffer === 'ORTM') {
    return 'an ORT-format model; publish the .onnx file it was made from';
  }
  if (flatbuffer === 'TFL3') {
    return 'a TensorFlow Lite model; convert it to ONNX';
  }
  if (latin.startsWith('GGUF')) {
    return 'a GGUF file; convert the model to ONNX';
  }
  if (latin.startsWith('PK\u0003\u0004')) {
    return 'a ZIP archive (PyTorch and Keras save such); export the model to ONNX';
  }
  if (latin.startsWith('\u0089HDF')) {
    return 'an HDF5 file; export the model to ONNX';
  }
  if (latin.startsWith('\u001f\u008b')) {
    return 'a gzip archive; unpack it';
  }
  if (latin.startsWith('\0\0\0{"', 5)) {
    return 'a safetensors file, weights without a graph; export the model to ONNX';
  }
  if (/^[{[]/u.test(start)) {
    return 'JSON text';
  }
  return undefined;
}
