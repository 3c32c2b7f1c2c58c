// ome-zarr.js in the browser: shows an image, and says which pixels the image shows.
import { render } from "ome-zarr.js";

async function show(url, targetSize) {
  const image = new Image();
  image.src = await render(url, targetSize);
  await image.decode();
  document.body.append(image);
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, image.width, image.height);
  let text = "";
  for (let i = 0; i < data.length; i += 4096)
    text += String.fromCharCode(...data.subarray(i, i + 4096));
  return [{ width, height, rgba: btoa(text) }];
}

window.test = { show };
